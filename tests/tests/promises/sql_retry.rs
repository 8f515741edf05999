//! A retry is a new job: what did not succeed, or is named, runs again with all that comes after it.

use postq_common::{spec::RunIf, state::JobState};
use postq_tests::{Database, Graph, Task, Worker, eventually};
use serde_json::json;
use uuid::Uuid;

use crate::{
    consumer::{code, consume, publish, refused, state, take},
    sql_model::FAULTS,
};

const DIAMOND: &[(&str, &[&str])] =
    &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"]), ("e", &["d"])];

async fn retry(database: &Database, job: Uuid, tasks: &str) -> Uuid {
    database.value(&format!("select postq.retry('{job}', {tasks})")).await
}

async fn no_faults(database: &Database) {
    let faults: Vec<String> = database.value(FAULTS).await;
    assert!(faults.is_empty(), "{faults:?}");
}

#[tokio::test]
async fn what_failed_and_was_skipped_runs_again_and_the_rest_is_carried_over() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(DIAMOND).admit(&database).await;
    let b = database.number(old, "b").await;
    worker.work(&database, |one| if one.n == b { "failed" } else { "succeeded" }).await;
    let ended = "a succeeded, b failed, c succeeded, d skipped, e skipped";
    assert_eq!(database.states(old).await, ended);

    let new = retry(&database, old, "null").await;
    assert_eq!(
        database.states(new).await,
        "a succeeded, b ready, c succeeded, d blocked, e blocked"
    );
    let of: Uuid =
        database.value(&format!("select retry_of from postq.jobs where id = '{new}'")).await;
    assert_eq!(of, old);
    let kept = format!(
        "select bool_and(n.results is not distinct from o.results and n.outcome = o.outcome)
         from postq.tasks n join postq.tasks o using (name)
         where n.job_id = '{new}' and o.job_id = '{old}' and name in ('a', 'c')"
    );
    assert!(database.value::<bool>(&kept).await);
    no_faults(&database).await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 3);
    assert_eq!(database.look(new).await.state, JobState::Succeeded);
    assert_eq!(database.states(old).await, ended, "terminal is terminal");
    no_faults(&database).await;
}

#[tokio::test]
async fn a_task_that_is_named_runs_again_with_its_descendants() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(DIAMOND).admit(&database).await;
    worker.work(&database, |_| "succeeded").await;
    let new = retry(&database, old, "array['c']").await;
    assert_eq!(
        database.states(new).await,
        "a succeeded, b succeeded, c ready, d blocked, e blocked"
    );
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 3);
    let whole = retry(&database, new, "array['a']").await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 5);
    assert_eq!(database.look(whole).await.state, JobState::Succeeded);
    no_faults(&database).await;
}

#[tokio::test]
async fn what_waits_for_a_failure_is_decided_anew() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let graph = Graph::of(&[("a", &[]), ("b", &["a"])])
        .with("c", Task::after(["b"]).run_if(RunIf::Failed))
        .with("d", Task::after(["b"]).run_if(RunIf::Finished))
        .with("e", Task::after(["a"]).run_if(RunIf::Failed));
    let old = graph.admit(&database).await;
    let b = database.number(old, "b").await;
    worker.work(&database, |one| if one.n == b { "failed" } else { "succeeded" }).await;
    assert_eq!(
        database.states(old).await,
        "a succeeded, b failed, c succeeded, d succeeded, e skipped"
    );
    let new = retry(&database, old, "null").await;
    assert_eq!(database.states(new).await, "a succeeded, b ready, c blocked, d blocked, e skipped");
    worker.work(&database, |_| "succeeded").await;
    assert_eq!(
        database.states(new).await,
        "a succeeded, b succeeded, c skipped, d succeeded, e skipped"
    );
    assert_eq!(database.look(new).await.state, JobState::Succeeded);
    no_faults(&database).await;
}

#[tokio::test]
async fn what_was_cancelled_runs_again() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(DIAMOND).admit(&database).await;
    let a = worker.claim(&database, 1).await.remove(0);
    worker.end(&database, &a, "succeeded").await;
    database.execute(&format!("select postq.cancel('{old}')")).await;
    database.execute("select postq.apply_inbox(0, 100)").await;
    let new = retry(&database, old, "null").await;
    assert_eq!(database.states(new).await, "a succeeded, b ready, c ready, d blocked, e blocked");
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 4);
    assert_eq!(database.look(new).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn what_cannot_be_retried_is_refused() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = Graph::of(DIAMOND).admit(&database).await;
    let again = |tasks: &str| format!("select postq.retry('{job}', {tasks})");
    let (code_, message) = refused(&database, &again("null")).await;
    assert_eq!(code_, "PQ006", "{message}");
    worker.work(&database, |_| "succeeded").await;
    let (code_, message) = refused(&database, &again("null")).await;
    assert!(code_ == "PQ005" && message.contains("name what is to run again"), "{message}");
    let (code_, message) = refused(&database, &again("array['a', 'z']")).await;
    assert!(code_ == "PQ005" && message.contains("'z'"), "{message}");
    let nobody = "select postq.retry('00000000-0000-7000-8000-000000000000')";
    assert_eq!(code(&database, nobody).await, "PQ003");
    let jobs: i64 = database.value("select count(*) from postq.job").await;
    assert_eq!(jobs, 1, "nothing is half-written");
    // It has no tasks: it ended before a coordinator has planned it.
    let two = serde_json::json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}});
    let job = database.submit(&two).await.unwrap();
    database.execute(&format!("select postq.cancel('{job}'); select postq.sweep()")).await;
    let (code_, message) = refused(&database, &format!("select postq.retry('{job}')")).await;
    assert!(code_ == "PQ006" && message.contains("before it was planned"), "{message}");
}

#[tokio::test]
async fn a_retry_may_be_asked_for_twice_under_one_id() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(DIAMOND).admit(&database).await;
    worker.work(&database, |_| "failed").await;
    let id: Uuid = database.value("select postq.new_id()").await;
    let again = format!("select postq.retry('{old}', null, '{id}')");
    for _ in 0..2 {
        assert_eq!(database.value::<Uuid>(&again).await, id);
    }
    let jobs: i64 = database.value("select count(*) from postq.job").await;
    assert_eq!(jobs, 2);
    let other = format!("select postq.retry('{old}', array['a', 'b'], '{id}')");
    assert_eq!(database.value::<Uuid>(&other).await, id, "the same tasks in other words");
    no_faults(&database).await;
}

/// With no coordinator at all.
#[tokio::test]
async fn a_job_of_one_task_is_retried_and_consumed_on_a_bare_database() {
    let database = Database::create().await;
    let old = publish(&database, "'mail', '7', max_retries => 1").await;
    let taken = take(&database, "1").await;
    database.execute(&taken.nack("no")).await;
    let new = retry(&database, old, "null").await;
    let letters: i64 = database.value("select count(*) from postq.dead_letters").await;
    assert_eq!(letters, 0, "it is tried again");
    let taken = take(&database, "1").await;
    assert_eq!((taken.id, taken.arguments.as_ref().unwrap().0.clone()), (new, json!(7)));
    database.execute(&taken.ack()).await;
    assert_eq!(state(&database, new).await, "succeeded");
    assert!(consume(&database.pool, "1").await.is_empty());
}

#[tokio::test]
async fn dead_letters_of_a_larger_job_are_redriven_as_one_retry() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]).admit(&database).await;
    let held = worker.claim(&database, 2).await;
    worker.end(&database, &held[0], "failed").await;
    assert_eq!(code(&database, &format!("select postq.redrive('{old}')")).await, "PQ006");
    let none: i64 = database.value("select count(*) from postq.redrive_all('default')").await;
    assert_eq!(none, 0, "it has not ended");
    worker.end(&database, &held[1], "failed").await;
    let letters: i64 = database.value("select count(*) from postq.dead_letters").await;
    assert_eq!(letters, 2);
    let new: Vec<Uuid> =
        database.value("select array_agg(j) from postq.redrive_all('default') j").await;
    assert_eq!(new.len(), 1);
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 3);
    assert_eq!(database.look(new[0]).await.state, JobState::Succeeded);
    let letters: i64 = database.value("select count(*) from postq.dead_letters").await;
    assert_eq!(letters, 0);
}

/// The caller's transaction may stay open: nobody waits for it.
#[tokio::test]
async fn a_retry_in_an_open_transaction_holds_nobody_up() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let old = Graph::of(DIAMOND).admit(&database).await;
    worker.work(&database, |_| "failed").await;
    let mut user = database.session().await;
    user.execute("begin").await;
    user.execute(&format!("select postq.retry('{old}')")).await;
    let mut other = database.session().await;
    other.execute_at_once(&format!("select postq.retry('{old}')")).await;
    other.execute_at_once("select postq.sweep()").await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 5);
    user.execute("commit").await;
    eventually("the other retry is there", std::time::Duration::from_secs(5), async || {
        (worker.work(&database, |_| "succeeded").await.len() == 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wide_job_is_retried_in_seconds() {
    let database = Database::create().await;
    let names: Vec<String> = (0..6000).map(|n| format!("t{n}")).collect();
    let graph = names.iter().fold(Graph::default().with("a", Task::after([])), |graph, name| {
        graph.with(name, Task::after(["a"]))
    });
    let worker = Worker::connect(&database).await;
    let old = graph.admit(&database).await;
    worker.work(&database, |_| "failed").await;
    database.execute("select postq.sweep()").await;
    let new = retry(&database, old, "null").await;
    let a = worker.claim(&database, 1).await.remove(0);
    worker.end(&database, &a, "succeeded").await;
    database.execute("select postq.sweep()").await;
    worker.work(&database, |_| "succeeded").await;
    assert_eq!(database.look(new).await.state, JobState::Succeeded);
    no_faults(&database).await;
}

/// A task that runs again keeps to its key and its rate as it did before.
#[tokio::test]
async fn a_retry_waits_for_its_concurrency_key_and_its_rate() {
    let database = Database::create().await;
    for shared in [
        json!({"concurrency": {"key": "k", "limit": 1}}),
        json!({"rate": {"key": "r", "limit": 1, "period": "60s"}}),
    ] {
        let mut task = json!({"handler": "h"});
        task.as_object_mut().unwrap().extend(shared.as_object().unwrap().clone());
        let old = database.submit(&json!({"tasks": {"a": task}})).await.unwrap();
        database.execute(&take(&database, "1").await.nack("no")).await;
        let mut again =
            vec![retry(&database, old, "null").await, retry(&database, old, "null").await];
        database.advance_clock("61 s").await;
        let first = consume(&database.pool, "9").await;
        assert_eq!(first.len(), 1, "{shared}");
        assert!(consume(&database.pool, "9").await.is_empty(), "{shared}");
        database.execute(&first[0].ack()).await;
        database.advance_clock("61 s").await;
        let second = take(&database, "1").await;
        database.execute(&second.ack()).await;
        again.sort();
        let mut ran = vec![first[0].id, second.id];
        ran.sort();
        assert_eq!(ran, again);
        no_faults(&database).await;
    }
}
