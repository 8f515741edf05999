//! Thousands of jobs in one call: all of them or none, and as if they had come one by one.

use std::time::{Duration, Instant};

use postq_tests::Database;
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    bad_documents::{bad, good},
    consumer::{code, consume, refused, state},
};

async fn submit_many(
    database: &Database,
    documents: &[Value],
) -> Result<Vec<(Uuid, bool)>, sqlx::Error> {
    let documents: Vec<Json<&Value>> = documents.iter().map(Json).collect();
    let submit = sqlx::query_as("select id, created from postq.submit_many($1)").bind(documents);
    submit.fetch_all(&database.pool).await
}

async fn count(database: &Database, table: &str) -> i64 {
    database.value(&format!("select count(*) from postq.{table}")).await
}

/// JQ32: five thousand in one call, in their order, fast.
#[tokio::test]
async fn thousands_of_jobs_are_sent_in_one_call() {
    let database = Database::create().await;
    let documents: Vec<Value> = (0..5000)
        .map(|n| json!({"attributes": {"n": n}, "tasks": {"a": {"handler": "h", "arguments": {"n": n}}}}))
        .collect();
    let start = Instant::now();
    let ids = submit_many(&database, &documents).await.unwrap();
    // The promise is 20,000 a second on a quiet machine; this one is shared, and builds are slow.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(ids.len(), 5000);
    assert!(ids.iter().all(|(_, created)| *created));
    let mut taken = Vec::new();
    while taken.len() < 5000 {
        taken.extend(consume(&database.pool, "1000").await);
    }
    assert!(taken.iter().map(|one| one.id).eq(ids.iter().map(|(id, _)| *id)), "in their order");
    assert!(
        taken.iter().zip(0..).all(|(one, n)| one.arguments.as_ref().unwrap().0 == json!({"n": n}))
    );
    let bulk = "select count(*) from postq.publish_bulk((
        select array_agg(row('ship', jsonb_build_object('n', n), null, null, null, null, 'bulk', null)::postq.bulk_job order by n)
        from generate_series(1, 5000) n))";
    let start = Instant::now();
    assert_eq!(database.value::<i64>(bulk).await, 5000);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let first = &consume(&database.pool, "1, 'bulk'").await[0];
    assert_eq!(
        (first.task.as_str(), first.arguments.as_ref().unwrap().0.clone()),
        ("ship", json!({"n": 1}))
    );
}

/// JQ32: all or none, with every problem and where it is.
#[tokio::test]
async fn a_list_with_a_bad_job_is_refused_whole_and_all_problems_are_told_with_their_place() {
    let database = Database::create().await;
    let fine = json!({"tasks": {"a": {"handler": "h"}}});
    let documents = [
        fine.clone(),
        json!({"tasks": {"a": {}}}),
        fine,
        json!({"tasks": {"b": {"depends": ["c"], "command": "x"}}, "odd": 1}),
    ];
    let error =
        submit_many(&database, &documents).await.unwrap_err().into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("PQ002"));
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    let lines: Vec<&str> = error.detail().unwrap().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("[1].tasks.a.command: "), "{lines:?}");
    assert!(lines[1].starts_with("[3].odd: "), "{lines:?}");
    let bulk = "select postq.publish_bulk(array[row('a',null,null,null,null,null,null,null), row('',null,null,null,null,null,null,null)]::postq.bulk_job[])";
    let (code, message) = refused(&database, bulk).await;
    assert_eq!((code.as_str(), message.starts_with("jobs[2].task ")), ("PQ005", true), "{message}");
    for table in ["job", "job_spec", "task", "ready", "submission"] {
        assert_eq!(count(&database, table).await, 0, "{table}");
    }
}

/// Every document that one door refuses the other refuses, and the plain ones are taken without a look.
#[tokio::test]
async fn a_list_judges_documents_as_a_single_submit_does() {
    let database = Database::create().await;
    for document in bad() {
        let one = database.submit(&document).await;
        let many = submit_many(&database, std::slice::from_ref(&document)).await;
        assert_eq!(one.is_err(), many.is_err(), "{document}");
        let plain = sqlx::query_scalar::<_, Option<bool>>("select postq.is_plain($1)")
            .bind(Json(&document));
        let plain = plain.fetch_one(&database.pool).await.unwrap() == Some(true);
        assert!(!plain || one.is_ok(), "{document} passes for plain");
    }
    // One that replaces another of the same key is not alone.
    let good: Vec<Value> = good().into_iter().filter(|one| one.get("unique").is_none()).collect();
    for (document, (id, created)) in good.iter().zip(submit_many(&database, &good).await.unwrap()) {
        assert!(created, "{document}");
        // As stored by a submit of its own.
        let alone = database.submit(document).await.unwrap();
        let look = |table: &str, columns: &str, id: Uuid| {
            format!(
                "select coalesce(jsonb_agg(to_jsonb(t) - '{{{columns}}}'::text[]), '[]') from postq.{table} t where job = '{id}'"
            )
        };
        for (table, columns) in [
            ("job_spec", "job"),
            ("task_spec", "job"),
            ("task", "job,seq,run_at"),
            ("job_progress", "job"),
        ] {
            let (many, one) = (look(table, columns, id), look(table, columns, alone));
            assert_eq!(
                database.json(&many).await,
                database.json(&one).await,
                "{document} in {table}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_may_hold_jobs_of_every_kind() {
    let database = Database::create().await;
    let first = Uuid::now_v7();
    let documents = [
        json!({"tasks": {"a": {"handler": "h"}}}),
        json!({"tasks": {"a": {"handler": "h"}}, "unique": {"key": "k"}}),
        json!({"tasks": {"a": {"handler": "h"}}, "unique": {"key": "k"}}),
        json!({"tasks": {"a": {"command": "x"}, "b": {"command": "x", "depends": ["a"]}}}),
        json!({"tasks": {"a": {"command": "x"}}, "after": {"jobs": [first]}}),
        json!({"tasks": {"a": {"handler": "h"}}, "delay": "60s", "expires_after": "60s"}),
    ];
    let list: Vec<Json<&Value>> = documents.iter().map(Json).collect();
    let mut ids = vec![None; 6];
    ids[0] = Some(first);
    let submit = "select id, created from postq.submit_many($1, $2)";
    let many = sqlx::query_as(submit).bind(&list).bind(&ids).fetch_all(&database.pool).await;
    let many: Vec<(Uuid, bool)> = many.unwrap();
    assert_eq!(many[0], (first, true));
    assert_eq!((many[2].0, many[2].1), (many[1].0, false), "the same key");
    assert!(many[3..].iter().all(|(_, created)| *created));
    assert_eq!(count(&database, "submission").await, 2);
    assert_eq!(state(&database, many[5].0).await, "scheduled");
    let again: Vec<(Uuid, bool)> = sqlx::query_as(submit)
        .bind(&list[..1])
        .bind(&ids[..1])
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(again, [(first, false)], "the same id is the same job");
    for (statement, wanted) in [
        ("select postq.submit_many(array['{}'::jsonb], '{}')", "PQ005"),
        (
            "select postq.submit_many(array_fill('{\"tasks\": {\"a\": {\"handler\": \"h\"}}}'::jsonb, array[10001]))",
            "PQ005",
        ),
    ] {
        assert_eq!(code(&database, statement).await, wanted, "{statement}");
    }
    assert_eq!(submit_many(&database, &[]).await.unwrap(), []);
}

/// JQ50: the rows of a query become jobs, by one documented statement.
#[tokio::test]
async fn the_rows_of_a_query_become_jobs() {
    let database = Database::create().await;
    database
        .execute("create table customer as select n as id from generate_series(1, 10000) n")
        .await;
    database
        .execute(
            "select count(*) from postq.publish_bulk((
                 select array_agg(row('remind', jsonb_build_object('customer', id), null, null, null, null, 'reminders', null)::postq.bulk_job)
                 from customer));
             create table sent as
             select c.id, postq.publish('thank', jsonb_build_object('customer', c.id)) as job from customer c where c.id <= 500",
        )
        .await;
    assert_eq!(database.value::<i64>("select postq.queue_depth('reminders')").await, 10000);
    let known =
        "select count(*) from sent s join postq.jobs j on j.id = s.job and j.state = 'queued'";
    assert_eq!(database.value::<i64>(known).await, 500);
}
