//! Jobs that run out of time: not started, or not ended, by then.

use postq_tests::{Database, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{code, consume, state, take, take_on};

fn expiring(queue: &str) -> Value {
    json!({"queue": queue, "expires_after": "10s", "tasks": {"a": {"handler": "h"}}})
}

async fn sweep(database: &Database) -> i64 {
    database.json("select postq.sweep()").await["overdue"].as_i64().unwrap()
}

/// JQ14: what nobody took in time is a dead letter, and whoever waits is told the end of its job.
#[tokio::test]
async fn a_job_that_was_not_started_in_time_has_failed_and_is_a_dead_letter() {
    let database = Database::create().await;
    let job = database.submit(&expiring("q")).await.unwrap();
    database.advance_clock("9 s").await;
    assert_eq!(sweep(&database).await, 0);
    database.advance_clock("2 s").await;
    assert_eq!(sweep(&database).await, 1);
    let look = database.look(job).await;
    assert_eq!((look.states(), look.reason.as_deref()), ("a skipped".into(), Some("expired")));
    assert_eq!(state(&database, job).await, "failed");
    assert!(consume(&database.pool, "1, 'q'").await.is_empty());
    let dead = take(&database, "1, 'dlq@q'").await;
    assert_eq!((dead.id, dead.task.as_str()), (job, "h"));
    database.execute(&dead.release()).await;
    let again: Uuid = database.value(&format!("select postq.redrive('{job}')")).await;
    let taken = take(&database, "1, 'q'").await;
    assert_eq!(taken.id, again, "tried again, and not expired any more");
    let left: i64 = database.value("select count(*) from postq.deadline").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_was_started_in_time_does_not_expire() {
    let database = Database::create().await;
    let job = database.submit(&expiring("q")).await.unwrap();
    let taken = take(&database, "1, 'q', lease => '1 hour'").await;
    database.advance_clock("11 s").await;
    assert_eq!(sweep(&database).await, 1, "its deadline is forgotten");
    assert_eq!(state(&database, job).await, "running");
    database.execute(&taken.ack()).await;
    assert_eq!(state(&database, job).await, "succeeded");
}

#[tokio::test]
async fn the_time_to_start_is_counted_from_when_a_job_may() {
    let database = Database::create().await;
    let mut document = expiring("q");
    document["delay"] = json!("60s");
    let job = database.submit(&document).await.unwrap();
    assert_eq!(state(&database, job).await, "scheduled");
    database.advance_clock("61 s").await;
    database.execute("select postq.sweep()").await;
    assert_eq!(state(&database, job).await, "queued");
    database.advance_clock("10 s").await;
    assert_eq!(sweep(&database).await, 1);
    assert_eq!(state(&database, job).await, "failed");
}

#[tokio::test]
async fn a_job_that_nobody_has_planned_expires_too() {
    let database = Database::create().await;
    let document = json!({"expires_after": "1s", "tasks": {
        "a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}}});
    let job = database.submit(&document).await.unwrap();
    database.advance_clock("2 s").await;
    assert_eq!(sweep(&database).await, 1);
    assert_eq!(database.look(job).await.reason.as_deref(), Some("expired"));
    let left: i64 = database.value("select count(*) from postq.submission").await;
    assert_eq!(left, 0);
}

/// A task that somebody is just taking, in a transaction that stays open, is neither waited for nor
/// lost.
#[tokio::test]
async fn nobody_waits_for_a_transaction_that_has_just_taken_what_expires() {
    for is_committed in [true, false] {
        let database = Database::create().await;
        let job = database.submit(&expiring("q")).await.unwrap();
        let mut user = database.session().await;
        user.execute("begin").await;
        let taken = take_on(&mut user, "1, 'q', lease => '1 hour'").await;
        database.advance_clock("11 s").await;
        let mut upkeep = database.session().await;
        upkeep.execute_at_once("select postq.apply_deadlines('-infinity', 100)").await;
        assert_eq!(state(&database, job).await, "queued");
        user.execute(if is_committed { "commit" } else { "rollback" }).await;
        upkeep.execute_at_once("select postq.apply_deadlines('-infinity', 100)").await;
        if is_committed {
            database.execute(&taken.ack()).await;
            assert_eq!(state(&database, job).await, "succeeded");
        } else {
            assert_eq!(state(&database, job).await, "failed");
        }
    }
}

const CHAIN: &str = r#"{"timeout": "10s", "tasks": {
    "a": {"handler": "h", "retry": {"max_attempts": 5}}}}"#;

/// A job's timeout asks what runs to stop, tries nothing again, and skips the rest.
#[tokio::test]
async fn a_job_that_has_not_ended_in_time_fails_once_what_runs_has_stopped() {
    let database = Database::create().await;
    let job: Uuid = database.value(&format!("select postq.submit('{CHAIN}')")).await;
    database.advance_clock("1 hour").await;
    assert_eq!(sweep(&database).await, 0, "it has not begun");
    let taken = take(&database, "1, lease => '1 hour'").await;
    database.advance_clock("11 s").await;
    assert_eq!(sweep(&database).await, 1);
    let asked =
        format!("select cancel_requested from postq.renew('{}', {})", taken.id, taken.attempt);
    assert!(database.value::<bool>(&asked).await);
    assert_eq!(state(&database, job).await, "running");
    database.execute(&taken.nack("stopped")).await;
    let look = database.look(job).await;
    assert_eq!((look.states(), look.reason.as_deref()), ("a failed".into(), Some("timed out")));
}

#[tokio::test]
async fn what_an_agent_stops_because_its_job_timed_out_has_timed_out() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let document = json!({"timeout": "10s", "tasks": {"a": {"command": "true", "retry": {"max_attempts": 5}}}});
    for (outcome, wanted) in
        [("cancelled", "a failed"), ("lost", "a failed"), ("succeeded", "a succeeded")]
    {
        let job = database.submit(&document).await.unwrap();
        let held = worker.claim(&database, 1).await.remove(0);
        database.advance_clock("11 s").await;
        assert_eq!(sweep(&database).await, 1);
        let asked = format!("select postq.cancels('{}')", worker.coordinator);
        assert_eq!(database.json(&asked).await, json!([[worker.agent, held.attempt]]));
        worker.end(&database, &held, outcome).await;
        assert_eq!(database.states(job).await, wanted);
        let told =
            format!("select state::text || ': ' || reason from postq.jobs where id = '{job}'");
        assert_eq!(
            database.value::<String>(&told).await,
            "failed: timed out",
            "though its last task {outcome}"
        );
    }
    let outcomes: Vec<String> =
        database.value("select array_agg(outcome::text order by id) from postq.attempt").await;
    assert_eq!(outcomes, ["timed_out", "lost", "succeeded"]);
}

#[tokio::test]
async fn a_cancel_that_is_under_way_is_not_overtaken_by_a_deadline() {
    let database = Database::create().await;
    let job: Uuid = database.value(&format!("select postq.submit('{CHAIN}')")).await;
    let taken = take(&database, "1, lease => '1 hour'").await;
    database.execute(&format!("select postq.cancel('{job}')")).await;
    database.execute("select postq.sweep()").await;
    database.advance_clock("11 s").await;
    database.execute("select postq.sweep()").await;
    database.execute(&taken.nack("stopped")).await;
    assert_eq!(state(&database, job).await, "cancelled");
    assert_eq!(code(&database, &taken.ack()).await, "PQ004");
}
