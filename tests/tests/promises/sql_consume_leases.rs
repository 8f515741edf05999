//! Leases: how long a consumed task is its consumer's, and what becomes of it then.

use postq_tests::Database;
use serde_json::Value;

use crate::consumer::{code, consume, publish, state, take};

/// JQ6, PJ11, PT24: a consumer that vanishes loses its lease, which counts as an attempt.
#[tokio::test]
async fn a_task_whose_lease_ended_is_offered_again_after_its_backoff() {
    let database = Database::create().await;
    let job = publish(&database, "'mail', timeout => '10 s', backoff => '5 s'").await;
    let first = take(&database, "1").await;
    database.advance_clock("9 s").await;
    assert!(consume(&database.pool, "1").await.is_empty(), "it is still leased");
    database.advance_clock("2 s").await;
    assert!(
        consume(&database.pool, "1").await.is_empty(),
        "its backoff counts from the lease's end"
    );
    assert_eq!(state(&database, job).await, "running");
    database.advance_clock("5 s").await;
    let second = take(&database, "1").await;
    assert_eq!((second.id, second.attempts), (job, 2));
    assert_eq!(code(&database, &first.ack()).await, "PQ004", "somebody else has it now");
    database.execute(&second.ack()).await;
    assert_eq!(state(&database, job).await, "succeeded");
    let outcomes: Vec<String> =
        database.value("select array_agg(outcome::text order by id) from postq.attempt").await;
    assert_eq!(outcomes, ["timed_out", "succeeded"]);
}

/// A late word counts as long as nobody has ended the attempt.
#[tokio::test]
async fn an_ack_after_the_lease_counts_while_nobody_has_taken_the_task() {
    let database = Database::create().await;
    let job = publish(&database, "'mail', timeout => '0.1 s'").await;
    let taken = take(&database, "1").await;
    database.advance_clock("1 hour").await;
    database.execute(&taken.ack()).await;
    assert_eq!(state(&database, job).await, "succeeded");
}

/// Attempts that are used up by leases that ended make a dead letter: in a consume, and in a sweep.
#[tokio::test]
async fn a_task_whose_last_lease_ended_has_failed() {
    let database = Database::create().await;
    for by in ["select count(*) from postq.consume(1)", "select count(*) from postq.sweep()"] {
        let job = publish(&database, "'mail', max_retries => 2, backoff => '0 s'").await;
        take(&database, "1").await;
        database.advance_clock("61 s").await;
        take(&database, "1").await;
        database.advance_clock("61 s").await;
        assert_eq!(state(&database, job).await, "running");
        database.value::<i64>(by).await;
        assert_eq!(state(&database, job).await, "failed", "{by}");
        let letter = format!("select reason from postq.dead_letters where id = '{job}'");
        assert!(database.value::<String>(&letter).await.starts_with("its lease ended"));
    }
}

/// A sweep does what a consumer would, for whoever waits behind.
#[tokio::test]
async fn a_sweep_ends_leases_and_makes_ready_what_is_due() {
    let database = Database::create().await;
    let job = publish(&database, "'mail', backoff => '5 s'").await;
    take(&database, "1").await;
    database.advance_clock("61 s").await;
    let expired = "select (postq.sweep() ->> 'expired')::int";
    assert_eq!(database.value::<i32>(expired).await, 1);
    assert_eq!(database.value::<i32>(expired).await, 0);
    let tasks = "select state::text from postq.tasks";
    assert_eq!(database.value::<String>(tasks).await, "scheduled");
    database.advance_clock("6 s").await;
    database.json("select postq.sweep()").await;
    assert_eq!(database.value::<String>(tasks).await, "ready");
    assert_eq!(take(&database, "1").await.id, job);
}

/// JQ36: who renews keeps its task, however long it takes.
#[tokio::test]
async fn a_lease_that_is_renewed_does_not_end() {
    let database = Database::create().await;
    let job = publish(&database, "'long', timeout => '10 s'").await;
    let taken = take(&database, "1").await;
    for _ in 0..6 {
        database.advance_clock("8 s").await;
        database.execute(&taken.renew("10 s")).await;
        assert!(consume(&database.pool, "1").await.is_empty());
        assert_eq!(database.json("select postq.sweep() -> 'expired'").await, Value::from(0));
    }
    database.execute(&taken.ack()).await;
    assert_eq!(state(&database, job).await, "succeeded");
}

/// A consumer that renews hears of a cancel.
#[tokio::test]
async fn a_renewal_tells_of_a_cancel() {
    let database = Database::create().await;
    let job = publish(&database, "'long'").await;
    let taken = take(&database, "1").await;
    let asked = taken.renew("10 s").replace("select", "select cancel_requested from");
    assert!(!database.value::<bool>(&asked).await);
    database.execute(&format!("select postq.cancel('{job}')")).await;
    database.json("select postq.sweep()").await;
    assert!(database.value::<bool>(&asked).await);
    database.execute(&taken.nack("stopped")).await;
    assert_eq!(state(&database, job).await, "cancelled");
}

/// JQ34: what was taken and not started goes back at once, and does not count.
#[tokio::test]
async fn a_released_task_is_ready_at_once_and_uncounted() {
    let database = Database::create().await;
    publish(&database, "'mail', max_retries => 1").await;
    for _ in 0..3 {
        let taken = take(&database, "1").await;
        assert_eq!(taken.attempts, 1);
        database.execute(&taken.release()).await;
        assert_eq!(code(&database, &taken.ack()).await, "PQ004");
    }
    let taken = take(&database, "1").await;
    database.execute(&taken.ack()).await;
}

/// The lease may be chosen by the consumer.
#[tokio::test]
async fn the_lease_of_a_consume_overrules_the_timeout_of_the_job() {
    let database = Database::create().await;
    publish(&database, "'mail', timeout => '1 s', backoff => '0 s'").await;
    take(&database, "1, lease => '10 min'").await;
    database.advance_clock("9 min").await;
    assert!(consume(&database.pool, "1").await.is_empty());
    database.advance_clock("1 min").await;
    take(&database, "1").await;
}

/// At most once: not again after a lease that ended, nor after a failure; but after a release.
#[tokio::test]
async fn what_is_delivered_at_most_once_is_never_tried_again() {
    let database = Database::create().await;
    let lost = publish(&database, "'lost'").await;
    take(&database, "1, delivery => 'at_most_once'").await;
    database.advance_clock("1 hour").await;
    assert!(consume(&database.pool, "9").await.is_empty());
    assert_eq!(state(&database, lost).await, "failed");
    let failed = publish(&database, "'failed'").await;
    let taken = take(&database, "1, delivery => 'at_most_once'").await;
    database.execute(&taken.release()).await;
    let taken = take(&database, "1, delivery => 'at_most_once'").await;
    database.execute(&taken.nack("no")).await;
    assert_eq!(state(&database, failed).await, "failed");
}

/// DQ17, DQ18: a task that always fails does not hold up the others, however soon it is tried again.
#[tokio::test]
async fn a_task_that_fails_at_once_does_not_starve_the_others() {
    let database = Database::create().await;
    publish(&database, "'bad', max_retries => -1, backoff => '0 s'").await;
    for _ in 0..100 {
        publish(&database, "'good'").await;
    }
    let mut good = 0;
    for _ in 0..250 {
        let taken = take(&database, "1").await;
        if taken.task == "bad" {
            database.execute(&taken.nack("no")).await;
        } else {
            good += 1;
            database.execute(&taken.ack()).await;
        }
        if good == 100 {
            return;
        }
    }
    panic!("only {good} of the good ones ran");
}
