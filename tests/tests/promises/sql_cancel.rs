//! A cancel ends what has not started and asks the rest to stop; what has ended stays.

use postq_common::state::JobState;
use postq_tests::{Database, Graph, Task, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sql_life::{running, shell};

async fn cancel(database: &Database, job: Uuid) -> Value {
    database.execute(&format!("select postq.cancel('{job}', 'enough')")).await;
    database.json("select postq.apply_inbox(0, 100)").await
}

#[tokio::test]
async fn a_cancel_ends_at_once_what_has_not_started() {
    let database = Database::create().await;
    let job = Graph::of(&[("a", &[]), ("b", &["a"])]).admit(&database).await;
    let answer = cancel(&database, job).await;
    assert_eq!(answer["ended"], json!([job]));
    assert_eq!(database.states(job).await, "a cancelled, b cancelled");
    assert_eq!(database.look(job).await.state, JobState::Cancelled);
    assert_eq!(database.look(job).await.reason.as_deref(), Some("enough"));
    let worker = Worker::connect(&database).await;
    assert!(worker.claim(&database, 1).await.is_empty());
}

#[tokio::test]
async fn a_running_task_of_a_cancelled_job_runs_until_its_attempt_ends_and_a_success_wins() {
    let database = Database::create().await;
    for (outcome, state, job_state) in [
        ("succeeded", "succeeded", JobState::Cancelled),
        ("failed", "cancelled", JobState::Cancelled),
        ("cancelled", "cancelled", JobState::Cancelled),
        ("lost", "cancelled", JobState::Cancelled),
        ("released", "cancelled", JobState::Cancelled),
    ] {
        let graph = Graph::default().with("a", shell().attempts(3)).with("b", Task::after(["a"]));
        let job = graph.admit(&database).await;
        let worker = Worker::connect(&database).await;
        let claimed = worker.claim(&database, 1).await;
        cancel(&database, job).await;
        assert_eq!(database.states(job).await, "a running, b cancelled");
        let cancels =
            database.json(&format!("select postq.cancels('{}')", worker.coordinator)).await;
        assert_eq!(cancels, json!([[worker.agent, claimed[0].attempt]]));
        assert_eq!(worker.end(&database, &claimed[0], outcome).await, "recorded");
        assert_eq!(database.states(job).await, format!("a {state}, b cancelled"), "{outcome}");
        assert_eq!(database.look(job).await.state, job_state, "{outcome}");
    }
}

#[tokio::test]
async fn a_cancel_reaches_a_task_that_waits_for_its_next_try() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell().attempts(3)).await;
    worker.end(&database, &claimed, "failed").await;
    cancel(&database, job).await;
    assert_eq!(database.states(job).await, "a cancelled");
    assert_eq!(database.value::<i64>("select count(*) from postq.scheduled").await, 0);
}

#[tokio::test]
async fn a_cancel_reaches_a_job_that_is_not_planned_yet() {
    let database = Database::create().await;
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}});
    let job = database.submit(&document).await.unwrap();
    let submission: i64 = database.value("select seq from postq.submission").await;
    cancel(&database, job).await;
    assert_eq!(database.look(job).await.state, JobState::Cancelled);
    let graph = Graph::of(&[("a", &[]), ("b", &[])]);
    let answer = graph.admit_as(&database, job, Some(submission)).await;
    assert_eq!(answer["created"], false, "whoever planned it meanwhile comes too late");
    assert!(database.look(job).await.tasks.is_empty());
}

#[tokio::test]
async fn what_has_ended_stays_as_it_is() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell()).await;
    worker.end(&database, &claimed, "failed").await;
    let before = database.look(job).await;
    cancel(&database, job).await;
    for outcome in ["succeeded", "lost", "released"] {
        assert_eq!(worker.end(&database, &claimed, outcome).await, "repeated");
    }
    database.advance_clock("1 day").await;
    database.json("select postq.promote('-infinity', 100)").await;
    assert!(worker.claim(&database, 1).await.is_empty());
    assert_eq!(database.look(job).await, before);
}

#[tokio::test]
async fn an_unknown_job_can_be_cancelled_without_effect() {
    let database = Database::create().await;
    let answer = cancel(&database, Uuid::new_v4()).await;
    assert_eq!((&answer["applied"], &answer["ended"]), (&json!(1), &json!([])));
}
