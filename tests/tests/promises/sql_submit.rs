//! Jobs enter through SQL, inside the application's transaction.

use postq_common::state::JobState;
use postq_tests::{Database, Graph, Worker};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

fn one_task() -> serde_json::Value {
    json!({"tasks": {"a": {"command": "echo hi"}}})
}

#[tokio::test]
async fn a_rolled_back_submit_leaves_no_job_and_a_committed_one_runs() {
    let database = Database::create().await;
    let mut session = database.session().await;
    for document in [
        "{\"a\": {\"command\": \"true\"}}",
        "{\"a\": {\"command\": \"true\"}, \"b\": {\"command\": \"true\"}}",
    ] {
        session.execute("begin").await;
        session.execute(&format!("select postq.submit('{{\"tasks\": {document}}}')")).await;
        session.execute("rollback").await;
    }
    for table in ["job", "job_spec", "job_progress", "task", "task_spec", "ready", "submission"] {
        let count: i64 = database.value(&format!("select count(*) from postq.{table}")).await;
        assert_eq!(count, 0, "{table}");
    }
    let job = database.submit(&one_task()).await.unwrap();
    let worker = Worker::connect(&database).await;
    worker.work(&database, |_| "succeeded").await;
    assert_eq!(database.states(job).await, "a succeeded");
}

#[tokio::test]
async fn the_same_id_with_the_same_document_is_the_same_job() {
    let database = Database::create().await;
    let id: Uuid = database.value("select postq.new_id()").await;
    let submit = |document: serde_json::Value| {
        let submit =
            sqlx::query_scalar("select postq.submit($1, $2)").bind(Json(document)).bind(id);
        submit.fetch_one(&database.pool)
    };
    for document in [one_task(), json!({"tasks": {"a": {"command": "echo hi"}}})] {
        let answer: Uuid = submit(document).await.unwrap();
        assert_eq!(answer, id);
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 1);
    let refused = submit(json!({"tasks": {"a": {"command": "echo ho"}}})).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("PQ001"));
}

#[tokio::test]
async fn a_submission_is_admitted_once() {
    let database = Database::create().await;
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}});
    let job = database.submit(&document).await.unwrap();
    let submission: i64 = database.value("select seq from postq.submission").await;
    let graph = Graph::of(&[("a", &[]), ("b", &[])]);
    for created in [true, false] {
        let answer = graph.admit_as(&database, job, Some(submission)).await;
        assert_eq!(answer["created"], created);
    }
    assert_eq!(database.states(job).await, "a ready, b ready");
}

#[tokio::test]
async fn a_submission_that_cannot_be_planned_ends_as_failed_with_the_reason() {
    let database = Database::create().await;
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}});
    let job = database.submit(&document).await.unwrap();
    let reject = "select postq.reject_submission(seq, 'no sense') from postq.submission";
    assert!(database.value::<bool>(reject).await);
    let look = database.look(job).await;
    assert_eq!((look.state, look.reason.as_deref()), (JobState::Failed, Some("no sense")));
}
