//! A job waits for the jobs it names, whichever way they go, and says so.

use postq_common::state::JobState;
use postq_tests::{Database, Graph, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{refused, state};

/// Submits a job of two tasks that waits for others, and plans it as a coordinator would.
async fn after(database: &Database, after: Value) -> Uuid {
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}}, "after": after});
    let job = database.submit(&document).await.unwrap();
    plan(database, job).await;
    job
}

async fn plan(database: &Database, job: Uuid) {
    let seq: i64 =
        database.value(&format!("select seq from postq.submission where job = '{job}'")).await;
    Graph::of(&[("a", &[]), ("b", &["a"])]).admit_as(database, job, Some(seq)).await;
    apply(database).await;
}

async fn apply(database: &Database) {
    database.json("select postq.apply_inbox(0, 1000)").await;
}

async fn parent(database: &Database) -> Uuid {
    Graph::of(&[("p", &[])]).admit(database).await
}

async fn reason(database: &Database, job: Uuid) -> Option<String> {
    database.value(&format!("select reason from postq.jobs where id = '{job}'")).await
}

/// JQ24: not before what it waits for has ended, in a chain of any length.
#[tokio::test]
async fn a_job_waits_for_the_jobs_it_names_and_a_chain_is_first_in_first_out() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let mut chain = vec![parent(&database).await];
    for _ in 0..3 {
        let last = chain.last().unwrap();
        chain.push(after(&database, json!({"jobs": [last]})).await);
    }
    assert_eq!(database.states(chain[1]).await, "a blocked, b blocked");
    assert_eq!(reason(&database, chain[1]).await.unwrap(), format!("waits for job {}", chain[0]));
    for job in &chain {
        loop {
            let claimed = worker.claim(&database, 8).await;
            if claimed.is_empty() {
                break;
            }
            for one in claimed {
                assert_eq!(one.job, *job, "out of order");
                worker.end(&database, &one, "succeeded").await;
            }
            if state(&database, *job).await == "succeeded" {
                break;
            }
        }
        assert_eq!(state(&database, *job).await, "succeeded");
        apply(&database).await;
    }
    for table in ["job_wait", "job_after", "inbox"] {
        assert_eq!(
            database.value::<i64>(&format!("select count(*) from postq.{table}")).await,
            0,
            "{table}"
        );
    }
}

/// JQ24: what is not there cannot be waited for.
#[tokio::test]
async fn an_unknown_job_to_wait_for_is_refused_by_its_name_and_nothing_is_stored() {
    let database = Database::create().await;
    let unknown = Uuid::now_v7();
    let document = json!({"tasks": {"a": {"command": "x"}}, "after": {"jobs": [unknown]}});
    let (code, message) = refused(&database, &format!("select postq.submit('{document}')")).await;
    assert_eq!(code, "PQ003");
    assert!(message.contains(&unknown.to_string()), "{message}");
    let own = Uuid::now_v7();
    let document = json!({"tasks": {"a": {"command": "x"}}, "after": {"jobs": [own]}});
    let (code, _) =
        refused(&database, &format!("select postq.submit('{document}', '{own}')")).await;
    assert_eq!(code, "PQ005", "itself");
    for table in ["job", "submission", "job_wait", "job_after"] {
        assert_eq!(
            database.value::<i64>(&format!("select count(*) from postq.{table}")).await,
            0,
            "{table}"
        );
    }
}

/// JQ25: as one that ends later.
#[tokio::test]
async fn a_job_that_has_ended_already_counts_at_once() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let first = parent(&database).await;
    worker.work(&database, |_| "succeeded").await;
    let job = after(&database, json!({"jobs": [first]})).await;
    assert_eq!(database.states(job).await, "a ready, b blocked");
    assert_eq!(reason(&database, job).await, None);
    // Between the submit and the plan.
    let second = parent(&database).await;
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}}, "after": {"jobs": [first, second]}});
    let job = database.submit(&document).await.unwrap();
    assert_eq!(reason(&database, job).await.unwrap(), format!("waits for job {first} and 1 more"));
    worker.work(&database, |_| "succeeded").await;
    apply(&database).await;
    plan(&database, job).await;
    assert_eq!(database.states(job).await, "a ready, b blocked");
}

/// JQ26: by `run_if`, which defaults to success.
#[tokio::test]
async fn what_becomes_of_a_job_whose_parent_does_not_succeed_is_its_own_to_say() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for (outcome, run_if, runs) in [
        ("failed", "SUCCEEDED", false),
        ("failed", "FAILED", true),
        ("failed", "FINISHED", true),
        ("succeeded", "SUCCEEDED", true),
        ("succeeded", "FAILED", false),
        ("succeeded", "FINISHED", true),
        ("cancelled", "SUCCEEDED", false),
        ("cancelled", "FAILED", false),
        ("cancelled", "FINISHED", true),
    ] {
        let context = format!("{outcome} {run_if}");
        let first = parent(&database).await;
        let job = after(&database, json!({"jobs": [first], "run_if": run_if})).await;
        if outcome == "cancelled" {
            database.execute(&format!("select postq.cancel('{first}')")).await;
            apply(&database).await;
        } else {
            let claimed = worker.claim(&database, 1).await;
            worker.end(&database, &claimed[0], outcome).await;
        }
        apply(&database).await;
        let look = database.look(job).await;
        if runs {
            assert_eq!(look.states(), "a ready, b blocked", "{context}");
            database.execute(&format!("select postq.cancel('{job}')")).await;
            apply(&database).await;
            continue;
        }
        assert_eq!(
            (look.state, look.states()),
            (JobState::Failed, "a skipped, b skipped".into()),
            "{context}"
        );
        if run_if == "SUCCEEDED" {
            let reason = look.reason.unwrap();
            assert!(reason.contains(&first.to_string()), "{reason}");
            // And so on down a chain.
            let next = after(&database, json!({"jobs": [job]})).await;
            assert_eq!(database.look(next).await.state, JobState::Failed);
        }
    }
}

#[tokio::test]
async fn a_parent_in_a_users_open_transaction_is_not_waited_for_and_not_missed() {
    let database = Database::create().await;
    let first = crate::consumer::publish(&database, "'h'").await;
    let mut session = database.session().await;
    let taken = crate::consumer::take_on(&mut session, "1").await;
    session.execute("begin").await;
    session.execute(&taken.ack()).await;
    // The end of the parent cannot know of this one.
    let job = after(&database, json!({"jobs": [first]})).await;
    assert_eq!(database.states(job).await, "a blocked, b blocked");
    let mut other = database.session().await;
    other.execute_at_once("select postq.apply_inbox(0, 100)").await;
    session.execute("commit").await;
    apply(&database).await;
    assert_eq!(database.states(job).await, "a ready, b blocked");
}

#[tokio::test]
async fn an_end_in_a_stricter_isolation_level_is_found_by_a_sweep() {
    let database = Database::create().await;
    let first = crate::consumer::publish(&database, "'h'").await;
    let taken = crate::consumer::take(&database, "1").await;
    let mut session = database.session().await;
    session.execute("begin isolation level repeatable read; select 1").await;
    let job = after(&database, json!({"jobs": [first]})).await;
    session.execute(&taken.ack()).await;
    session.execute("commit").await;
    apply(&database).await;
    database.execute("select postq.sweep()").await;
    assert_eq!(database.states(job).await, "a ready, b blocked");
}

#[tokio::test]
async fn a_job_that_waits_for_jobs_and_for_its_time_waits_for_both() {
    let database = Database::create().await;
    let first = parent(&database).await;
    let document = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}},
                          "after": {"jobs": [first]}, "delay": "60s"});
    let job = database.submit(&document).await.unwrap();
    plan(&database, job).await;
    assert_eq!(database.states(job).await, "a blocked, b blocked");
    let worker = Worker::connect(&database).await;
    worker.work(&database, |_| "succeeded").await;
    apply(&database).await;
    assert_eq!(database.states(job).await, "a scheduled, b blocked");
    assert_eq!(state(&database, job).await, "scheduled");
    database.advance_clock("61 s").await;
    database.json("select postq.promote('-infinity', 10)").await;
    assert_eq!(database.states(job).await, "a ready, b blocked");
    assert_eq!(state(&database, job).await, "queued");
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_waits_leaves_nothing_behind() {
    let database = Database::create().await;
    let first = parent(&database).await;
    let planned = after(&database, json!({"jobs": [first]})).await;
    let document = json!({"tasks": {"a": {"command": "true"}}, "after": {"jobs": [first]}});
    let unplanned = database.submit(&document).await.unwrap();
    for job in [planned, unplanned] {
        database.execute(&format!("select postq.cancel('{job}')")).await;
    }
    apply(&database).await;
    let worker = Worker::connect(&database).await;
    worker.work(&database, |_| "succeeded").await;
    apply(&database).await;
    for job in [planned, unplanned] {
        assert_eq!(state(&database, job).await, "cancelled");
    }
    for table in ["job_wait", "job_after", "inbox"] {
        assert_eq!(
            database.value::<i64>(&format!("select count(*) from postq.{table}")).await,
            0,
            "{table}"
        );
    }
}
