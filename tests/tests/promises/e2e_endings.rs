//! Ends that somebody asked for, ends by the clock, and ends that are tried again.

use postq_proto::v1::{attempt, job, task};
use postq_tests::{Cluster, PATIENCE, states};
use serde_json::{Value, json};

/// A command that never ends, with a file of that name in its command line.
fn endless(cluster: &Cluster, name: &str) -> String {
    format!("echo up > {0}; tail -f {0}", cluster.path(name).display())
}

#[tokio::test]
async fn a_running_task_that_is_cancelled_is_gone_with_its_dependants() {
    let cluster = Cluster::start(&[2]).await;
    let id = cluster
        .submit(&json!({"tasks": {
            "before": {"command": "true"},
            "a": {"depends": ["before"], "command": endless(&cluster, "held")},
            "b": {"depends": ["a"], "command": "true"},
        }}))
        .await;
    cluster.wait_for_file("held").await;
    let client = cluster.client();
    let asked = client.cancel(id, "no longer wanted").await;
    assert!(asked.cancel_requested_at.is_some());
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a cancelled, b cancelled, before succeeded");
    assert_eq!(job.state(), job::State::Cancelled);
    assert_eq!(job.tasks["a"].attempt.as_ref().unwrap().outcome(), attempt::Outcome::Cancelled);
    assert_eq!(job.tasks["b"].reason, "no longer wanted");
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new());
    // Once more is no error and changes nothing.
    assert_eq!(client.cancel(id, "again").await.state(), job::State::Cancelled);
}

#[tokio::test]
async fn a_task_that_ignores_the_polite_signal_is_killed_after_its_grace() {
    let cluster = Cluster::start(&[1]).await;
    let command = format!("trap '' TERM; {}", endless(&cluster, "held"));
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command, "grace": "0.2s"}}})).await;
    cluster.wait_for_file("held").await;
    cluster.client().cancel(id, "").await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a cancelled");
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new());
}

#[tokio::test]
async fn a_queued_job_that_is_cancelled_is_never_delivered() {
    let mut cluster = Cluster::start(&[]).await;
    let ran = format!("echo ran >> {}", cluster.path("ran").display());
    let one = json!({"tasks": {"a": {"command": ran}, "b": {"depends": ["a"], "command": ran}}});
    let (cancelled, kept) = (cluster.submit(&one).await, cluster.submit(&one).await);
    let client = cluster.client();
    let job = client.cancel(cancelled, "").await;
    assert_eq!(job.state(), job::State::Cancelled);
    cluster.add_agent(postq_tests::AgentSetup::default()).await;
    assert_eq!(client.wait(kept, PATIENCE).await.state(), job::State::Succeeded);
    assert_eq!(states(&client.get(cancelled).await), "a cancelled, b cancelled");
    assert_eq!(cluster.database.outcomes(cancelled).await, "");
    assert_eq!(cluster.lines("ran").len(), 2);
}

#[tokio::test]
async fn a_task_that_runs_longer_than_its_timeout_is_ended() {
    let cluster = Cluster::start(&[1]).await;
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "a": {"command": endless(&cluster, "held"), "timeout": "0.3s"},
            "b": {"depends": ["a"], "command": "true"},
        }}))
        .await;
    assert_eq!(states(&job), "a failed, b skipped");
    assert_eq!(job.tasks["a"].attempt.as_ref().unwrap().outcome(), attempt::Outcome::TimedOut);
    assert!(job.tasks["a"].reason.contains("timeout of 300ms"), "{}", job.tasks["a"].reason);
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new());
}

/// A task that fails until it has run so often.
fn fails_until(cluster: &Cluster, runs: usize, retry: Value) -> Value {
    let file = cluster.path("runs");
    let file = file.display();
    let command = format!("echo $POSTQ_ATTEMPT_NUMBER >> {file}; [ $(wc -l < {file}) -ge {runs} ]");
    json!({"tasks": {
        "a": {"command": command, "retry": retry},
        "b": {"depends": ["a"], "command": "true"},
    }})
}

#[tokio::test]
async fn a_task_is_tried_again_after_growing_pauses_until_it_succeeds() {
    let cluster = Cluster::start(&[1]).await;
    let retry = json!({"max_attempts": 5, "backoff": "0.4s", "max_backoff": "10s"});
    let id = cluster.submit(&fails_until(&cluster, 3, retry)).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a succeeded, b succeeded");
    assert_eq!(job.tasks["a"].attempts, 3);
    assert_eq!(cluster.lines("runs"), ["1", "2", "3"]);
    assert_eq!(cluster.database.outcomes(id).await, "a failed, a failed, a succeeded, b succeeded");
    let history = cluster.database.history(id).await;
    // Jitter takes away up to one half.
    for (n, least_ms) in [(0, 200), (1, 400)] {
        let pause = history[n + 1].started_at - history[n].finished_at;
        assert!(pause.num_milliseconds() >= least_ms, "{pause}");
    }
}

#[tokio::test]
async fn a_task_that_has_used_up_its_attempts_has_failed() {
    let cluster = Cluster::start(&[1]).await;
    let retry = json!({"max_attempts": 2, "backoff": "0.01s"});
    let id = cluster.submit(&fails_until(&cluster, 9, retry)).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a failed, b skipped");
    assert_eq!((job.tasks["a"].attempts, job.tasks["a"].reason.as_str()), (2, "exit code 1"));
    assert_eq!(cluster.database.outcomes(id).await, "a failed, a failed");
}

#[tokio::test]
async fn a_cancel_ends_the_wait_for_the_next_try() {
    let cluster = Cluster::start(&[1]).await;
    let retry = json!({"max_attempts": -1, "backoff": "600s", "max_backoff": "600s"});
    let id = cluster.submit(&fails_until(&cluster, 9, retry)).await;
    let client = cluster.client();
    let waits = |job: &postq_proto::v1::Job| job.tasks["a"].state() == task::State::Scheduled;
    let job = client.wait_until(id, "it waits for its next try", PATIENCE, waits).await;
    assert!(job.tasks["a"].run_at.is_some());
    client.cancel(id, "").await;
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(
        (job.state(), states(&job).as_str()),
        (job::State::Cancelled, "a cancelled, b cancelled")
    );
}
