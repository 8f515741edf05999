//! The graph decides when a task runs, and nothing else does.

use chrono::TimeDelta;
use postq_proto::v1::job;
use postq_tests::{Cluster, Execution, PATIENCE, states, successes};
use serde_json::{Map, Value, json};

/// A task that leaves no files, so that only the order is measured.
fn bare(command: &str, depends: &[String]) -> Value {
    json!({"command": command, "depends": depends, "workspace": "NONE"})
}

/// A chain of so many tasks that do nothing: t0000 first.
fn chain(length: usize) -> Value {
    let name = |n: usize| format!("t{n:04}");
    let task = |n: usize| {
        let before = n.checked_sub(1).map(name);
        (name(n), bare("true", &before.into_iter().collect::<Vec<_>>()))
    };
    json!({"tasks": (0..length).map(task).collect::<Map<_, _>>()})
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64()
}

/// The pauses between the end of a task and the start of the next one, in seconds.
fn gaps(history: &[Execution]) -> Vec<f64> {
    history.windows(2).map(|pair| seconds(pair[1].started_at - pair[0].finished_at)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// PQ1
#[tokio::test]
async fn every_task_of_a_diamond_runs_once_after_those_it_depends_on() {
    let cluster = Cluster::start(&[4]).await;
    let id = cluster
        .submit(&json!({"tasks": {
            "a": {"command": "true"},
            "b": {"depends": ["a"], "command": "sleep 0.2"},
            "c": {"depends": ["a"], "command": "sleep 0.1"},
            "d": {"depends": ["b", "c"], "command": "true"},
        }}))
        .await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a succeeded, b succeeded, c succeeded, d succeeded");
    let history = cluster.database.history(id).await;
    assert_eq!(history.len(), 4);
    let ran = successes(&history);
    for (first, then) in [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")] {
        assert!(ran[then].started_at >= ran[first].finished_at, "{first} {then}: {history:#?}");
    }
}

/// PQ7: eight tasks that take half a second are under way together.
#[tokio::test]
async fn tasks_that_wait_for_nothing_start_at_once() {
    let cluster = Cluster::start(&[8]).await;
    let task = |n: usize| (format!("t{n}"), bare("sleep 0.5", &[]));
    let document = json!({"tasks": (0..8).map(task).collect::<Map<_, _>>()});
    let id = cluster.submit(&document).await;
    cluster.client().wait(id, PATIENCE).await;
    let history = cluster.database.history(id).await;
    let last_start = history.iter().map(|it| it.started_at).max().unwrap();
    let first_end = history.iter().map(|it| it.finished_at).min().unwrap();
    assert!(last_start < first_end, "{history:#?}");
    assert_eq!(successes(&history).len(), 8);
}

/// PQ8: nobody polls between a task and the next one.
#[tokio::test]
async fn a_task_that_ends_releases_its_successor_at_once() {
    let cluster = Cluster::start(&[1]).await;
    let id = cluster.submit(&chain(20)).await;
    cluster.client().wait(id, PATIENCE).await;
    let gaps = gaps(&cluster.database.history(id).await);
    assert_eq!(gaps.len(), 19);
    println!("mean gap between the tasks of a chain: {:.1} ms", mean(&gaps) * 1000.0);
    assert!(mean(&gaps) < 0.5, "{gaps:?}");
}

/// PQ10, PQ11
#[tokio::test]
async fn a_failure_skips_its_descendants_and_nothing_else() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let short = client
        .run(&json!({"tasks": {
            "a": {"command": "exit 1"}, "b": {"depends": ["a"], "command": "true"},
        }}))
        .await;
    assert_eq!(states(&short), "a failed, b skipped");
    let job = client
        .run(&json!({"tasks": {
            "a": {"command": "true"},
            "b": {"depends": ["a"], "command": "exit 1"},
            "c": {"depends": ["a"], "command": "true"},
            "d": {"depends": ["b"], "command": "true"},
            "e": {"depends": ["c"], "command": "true"},
            "f": {"depends": ["d", "e"], "command": "true"},
        }}))
        .await;
    assert_eq!(
        states(&job),
        "a succeeded, b failed, c succeeded, d skipped, e succeeded, f skipped"
    );
    assert_eq!(job.state(), job::State::Failed);
    assert_eq!(job.open_tasks, 0);
    assert!(job.finished_at.is_some() && job.tasks.values().all(|task| task.finished_at.is_some()));
}

#[tokio::test]
async fn a_task_may_ask_for_the_failure_or_for_any_end_of_its_parents() {
    let cluster = Cluster::start(&[2]).await;
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "good": {"command": "true"},
            "bad": {"command": "exit 1"},
            "alarm": {"depends": ["bad"], "run_if": "FAILED", "command": "echo alarm"},
            "calm": {"depends": ["good"], "run_if": "FAILED", "command": "echo alarm"},
            "tidy": {"depends": ["good", "bad"], "run_if": "FINISHED", "command": "echo tidy"},
        }}))
        .await;
    let wanted = "alarm succeeded, bad failed, calm skipped, good succeeded, tidy succeeded";
    assert_eq!(states(&job), wanted);
}

/// PQ45: a thousand tasks that wait for nothing.
#[tokio::test]
async fn a_thousand_independent_tasks_cost_no_more_each_than_a_few() {
    let cluster = Cluster::start(&[8, 8]).await;
    let task = |n: usize| (format!("t{n:04}"), bare("true", &[]));
    let document = json!({"tasks": (0..1000).map(task).collect::<Map<_, _>>()});
    let id = cluster.submit(&document).await;
    let job = cluster.client().wait(id, 3 * PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded);
    let mut ends: Vec<_> =
        cluster.database.history(id).await.iter().map(|it| it.finished_at).collect();
    ends.sort_unstable();
    assert_eq!(ends.len(), 1000);
    let (first, second) = (seconds(ends[499] - ends[0]), seconds(ends[999] - ends[499]));
    println!(
        "1,000 independent tasks: {first:.2} s for the first half, {second:.2} s for the second"
    );
    assert!(second < 3.0 * first + 1.0, "{first} {second}");
}

/// PQ45: the time of a chain grows with its length.
#[tokio::test]
async fn the_cost_of_a_chain_is_linear_in_its_length() {
    let cluster = Cluster::start(&[1]).await;
    let id = cluster.submit(&chain(300)).await;
    let job = cluster.client().wait(id, 3 * PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded);
    let history = cluster.database.history(id).await;
    assert_eq!(history.len(), 300);
    let span = |part: &[Execution]| seconds(part[part.len() - 1].finished_at - part[0].started_at);
    let (first, second) = (span(&history[..150]), span(&history[150..]));
    println!("a chain of 300: {first:.2} s for the first half, {second:.2} s for the second");
    assert!(second < 2.5 * first + 1.0, "{first} {second}");
}
