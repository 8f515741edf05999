//! There is one job format, and every door judges it alike: `postq.submit` in the database and the
//! plan of the coordinator.

use std::collections::BTreeSet;

use postq_common::{
    id::JobId,
    spec::{Limits, Needs, Problem},
};
use postq_coordinator::wire::plan::plan as plan_of_coordinator;
use postq_proto::{convert::plan, document::job_from_json};
use postq_tests::Database;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::bad_documents::{bad, good};

/// What the coordinator says. The reader of documents stops at the first value of a wrong kind, so
/// that is told apart.
enum Told {
    First(Problem),
    All(Vec<Problem>),
    Nothing,
}

fn told_by_plan(document: &Value) -> Told {
    let job = match job_from_json(document) {
        Ok(job) => job,
        Err(error) => return Told::First(error.into()),
    };
    match plan(&job, &Limits::default()) {
        Ok(_) => Told::Nothing,
        Err(problems) => Told::All(problems),
    }
}

async fn told_by_submit(database: &Database, document: &Value) -> Vec<String> {
    let Err(error) = database.submit(document).await else { return Vec::new() };
    let error = error.into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("PQ002"), "{document}: {error}");
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    error.detail().unwrap().lines().map(str::to_owned).collect()
}

/// What differs between the doors for this document, if anything does.
async fn difference(database: &Database, document: &Value) -> Option<String> {
    let by_submit = told_by_submit(database, document).await;
    let is_alike = match told_by_plan(document) {
        Told::First(problem) => by_submit.contains(&problem.to_string()),
        Told::All(problems) => {
            let by_plan: Vec<String> = problems.iter().map(Problem::to_string).collect();
            // Free JSON has no order, so neither have its problems.
            let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
            by_plan.len() == by_submit.len() && set(&by_plan) == set(&by_submit)
        }
        Told::Nothing => false,
    };
    if is_alike {
        return None;
    }
    let by_plan = match told_by_plan(document) {
        Told::First(problem) => vec![problem.to_string()],
        Told::All(problems) => problems.iter().map(Problem::to_string).collect(),
        Told::Nothing => Vec::new(),
    };
    let mut text = document.to_string();
    text.truncate(text.floor_char_boundary(200));
    Some(format!("{text}\n  plan: {by_plan:#?}\n  submit: {by_submit:#?}"))
}

#[tokio::test]
async fn both_doors_refuse_the_same_documents_with_the_same_problems() {
    let database = Database::create().await;
    let documents = bad();
    assert!(documents.len() >= 200, "{}", documents.len());
    let mut differences = Vec::new();
    for document in &documents {
        differences.extend(difference(&database, document).await);
    }
    assert!(differences.is_empty(), "{}: {}", differences.len(), differences.join("\n"));
    assert_eq!(database.value::<i64>("select count(*) from postq.job").await, 0);
}

#[tokio::test]
async fn both_doors_accept_the_same_documents() {
    let database = Database::create().await;
    for document in good() {
        assert!(matches!(told_by_plan(&document), Told::Nothing), "{document}");
        assert_eq!(told_by_submit(&database, &document).await, [""; 0], "{document}");
    }
}

#[tokio::test]
async fn what_tasks_ask_of_agents_is_counted_alike_in_the_database_and_outside() {
    let database = Database::create().await;
    let mut asking = 0;
    for document in good() {
        let planned = plan(&job_from_json(&document).unwrap(), &Limits::default()).unwrap();
        let id = admit(&database, &document).await;
        for task in planned.tasks() {
            let stored = database
                .json(&format!(
                    "select l.needs from postq.task t join postq.lane l on l.id = t.lane
                     where t.job = '{id}' and t.n = {}",
                    task.number()
                ))
                .await;
            asking += usize::from(!task.spec().needs().is_empty());
            assert_eq!(serde_json::from_value::<Needs>(stored).unwrap(), task.spec().needs());
        }
    }
    assert!(asking >= 4, "{asking}");
    let twins = "select count(*) - count(distinct (queue, priority, executor, handler, needs)::text) from postq.lane";
    assert_eq!(database.value::<i64>(twins).await, 0);
}

#[tokio::test]
async fn a_problem_of_many_is_told_in_the_message_with_their_number() {
    let database = Database::create().await;
    let document = serde_json::json!({"tasks": {
        "a": {"command": "true"},
        "b": {"command": "true", "depends": ["zz", "yy"]},
    }});
    let error = database.submit(&document).await.unwrap_err();
    let told = error.as_database_error().unwrap().message();
    assert!(told.contains("\"b\" depends on \"zz\""), "{told}");
    assert!(told.ends_with("(and 1 more problem)"), "{told}");
}

/// Plans and stores it as a coordinator does.
async fn admit(database: &Database, document: &Value) -> Uuid {
    let id = database.value("select postq.new_id()").await;
    let document = job_from_json(document).unwrap();
    let new = plan_of_coordinator(JobId(id), &document, None).unwrap().new;
    let admit = sqlx::query("select postq.admit($1, $2, $3, null)")
        .bind(Json(&new.job))
        .bind(Json(&new.tasks))
        .bind(Json(&new.gates));
    admit.execute(&database.pool).await.unwrap();
    id
}

/// All that is stored of a job, but what differs from call to call; and its documents, which are
/// kept as they were written, here in other spellings.
const STORED: &str = "
    select jsonb_build_array(
        to_jsonb(j) - '{id,created_at}'::text[],
        to_jsonb(js) - '{job,spec,digest}'::text[],
        to_jsonb(t) - '{job,seq}'::text[], t.run_at - j.created_at > '3599 s',
        to_jsonb(ts) - '{job,spec}'::text[],
        (select jsonb_agg(jsonb_build_array(d.kind, d.at - coalesce(t.run_at, j.created_at))) from postq.deadline d where d.job = j.id))
        #- '{2,run_at}'
    from postq.job j
    join postq.job_spec js on js.job = j.id
    join postq.task t on t.job = j.id
    join postq.task_spec ts on ts.job = j.id and ts.n = t.n
    where j.id = ";

#[tokio::test]
async fn a_job_of_one_task_is_stored_alike_through_both_doors() {
    let is_single = |document: &Value| {
        document["tasks"].as_object().is_some_and(|tasks| tasks.len() == 1)
            && document["input"].as_str().is_none_or(str::is_empty)
    };
    let documents: Vec<Value> = good().into_iter().filter(is_single).collect();
    assert!(documents.len() >= 8);
    for document in documents {
        // Keys are held by one job at a time.
        let (one, other) = (Database::create().await, Database::create().await);
        let job = one.submit(&document).await.unwrap();
        let submitted = one.json(&format!("{STORED} '{job}'")).await;
        let job = admit(&other, &document).await;
        let admitted = other.json(&format!("{STORED} '{job}'")).await;
        assert_eq!(submitted, admitted, "{document}");
    }
}

#[tokio::test]
async fn a_job_with_an_input_waits_for_a_coordinator_to_look_its_files_up() {
    let database = Database::create().await;
    let document = serde_json::json!({
        "input": "0a".repeat(32), "tasks": {"a": {"command": "true"}},
    });
    database.submit(&document).await.unwrap();
    assert_eq!(database.value::<i64>("select count(*) from postq.submission").await, 1);
    assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 0);
}
