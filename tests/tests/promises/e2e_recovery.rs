//! Either side may die at any moment: what runs is adopted or lost, and never counted twice.

use std::time::Duration;

use postq_proto::v1::{job, task};
use postq_tests::{Cluster, PATIENCE, eventually, successes};
use serde_json::{Value, json};
use uuid::Uuid;

/// A task that notes each of its executions in `runs` and ends once `go` is there.
fn until_told(cluster: &Cluster) -> Value {
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let command = format!(
        "echo run >> {}; until [ -e {} ]; do sleep 0.05; done; echo done",
        runs.display(),
        go.display()
    );
    json!({"tasks": {"a": {"command": command}}})
}

/// A task that hangs in its first execution, with `held` in its command line, and ends at once in
/// the next.
fn hangs_once(cluster: &Cluster) -> Value {
    let held = cluster.path("held");
    let held = held.display();
    let command =
        format!("if [ -e {held} ]; then echo again; else echo up > {held}; tail -f {held}; fi");
    json!({"tasks": {"a": {"command": command}}})
}

async fn session_of(cluster: &Cluster) -> i64 {
    cluster.database.value("select max(session) from postq.agent").await
}

#[tokio::test]
async fn what_runs_when_the_coordinator_is_killed_is_adopted_by_the_next_one() {
    let mut cluster = Cluster::start(&[1]).await;
    let id = cluster.submit(&until_told(&cluster)).await;
    cluster.wait_for_file("runs").await;
    let before = session_of(&cluster).await;
    cluster.coordinator(0).kill().await;
    cluster.coordinator(0).restart().await;
    cluster.wait_until_ready(0).await;
    let is_back = async || (session_of(&cluster).await > before).then_some(());
    eventually("the agent is back", PATIENCE, is_back).await;
    cluster.touch("go");
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "done\n");
    assert_eq!(cluster.lines("runs"), ["run"]);
    assert_eq!(cluster.database.outcomes(id).await, "a succeeded");
}

#[tokio::test]
async fn what_ends_while_no_coordinator_is_there_is_recorded_by_the_next_one() {
    let mut cluster = Cluster::start(&[1]).await;
    let id = cluster.submit(&until_told(&cluster)).await;
    cluster.wait_for_file("runs").await;
    cluster.coordinator(0).kill().await;
    cluster.touch("go");
    let runs = cluster.path("runs");
    eventually("the task ends", PATIENCE, async || {
        let commands = postq_tests::processes_with(&runs);
        commands.iter().all(|command| !command.contains("until")).then_some(())
    })
    .await;
    cluster.coordinator(0).restart().await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!((job.state(), job.tasks["a"].results.as_str()), (job::State::Succeeded, "done\n"));
    assert_eq!(cluster.lines("runs"), ["run"]);
    assert_eq!(cluster.database.outcomes(id).await, "a succeeded");
}

#[tokio::test]
async fn a_job_waits_for_an_agent_and_the_coordinator_may_die_meanwhile() {
    let mut cluster = Cluster::start(&[]).await;
    let id = cluster.submit(&json!({"tasks": {"a": {"command": "echo hi"}}})).await;
    cluster.coordinator(0).restart().await;
    cluster.wait_until_ready(0).await;
    assert_eq!(cluster.client().get(id).await.tasks["a"].state(), task::State::Ready);
    cluster.add_agent(postq_tests::AgentSetup::default()).await;
    assert_eq!(cluster.client().wait(id, PATIENCE).await.tasks["a"].results, "hi\n");
}

/// The name of the agent that runs task `a`, once one does.
async fn runner_of(cluster: &Cluster, id: Uuid) -> String {
    let is_running = |job: &postq_proto::v1::Job| job.tasks["a"].state() == task::State::Running;
    let job = cluster.client().wait_until(id, "the task runs", PATIENCE, is_running).await;
    job.tasks["a"].attempt.clone().unwrap().agent
}

#[tokio::test]
async fn what_ran_on_an_agent_that_was_killed_is_lost_and_runs_elsewhere_within_30_s() {
    let mut cluster = Cluster::start(&[1, 1]).await;
    let id = cluster.submit(&hangs_once(&cluster)).await;
    cluster.wait_for_file("held").await;
    let dead = runner_of(&cluster, id).await;
    let number = cluster.agent_named(&dead);
    cluster.agent(number).kill().await;
    // The promise is 10 s; the bound is what a crowded machine may make of it.
    let job = cluster.client().wait(id, Duration::from_secs(30)).await;
    assert_eq!(job.tasks["a"].results, "again\n");
    assert_eq!((job.tasks["a"].attempts, job.tasks["a"].crashes), (1, 1));
    let history = cluster.database.history(id).await;
    assert_eq!(cluster.database.outcomes(id).await, "a lost, a succeeded");
    assert_eq!(history[0].agent, dead);
    assert_ne!(history[1].agent, dead);
    assert!(!history[0].reason.is_empty());
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new(), "left behind");
}

#[tokio::test]
async fn an_agent_that_is_started_again_at_once_says_itself_what_it_lost() {
    let mut cluster = Cluster::start(&[1]).await;
    let id = cluster.submit(&hangs_once(&cluster)).await;
    cluster.wait_for_file("held").await;
    cluster.agent(0).restart().await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!((job.tasks["a"].attempts, job.tasks["a"].crashes), (1, 1));
    assert_eq!(cluster.database.outcomes(id).await, "a lost, a succeeded");
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new(), "left behind");
}

/// Killed before, while or after the report was recorded: the kills are spread over what follows
/// the task's last word.
#[tokio::test]
async fn an_agent_killed_as_its_task_ends_leaves_exactly_one_success() {
    let mut cluster = Cluster::start(&[1]).await;
    for round in 0..8_u64 {
        let ended = cluster.path(&format!("ended-{round}"));
        let command = format!("echo end >> {}", ended.display());
        let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
        cluster.wait_for_file(&format!("ended-{round}")).await;
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        cluster.agent(0).restart().await;
        let job = cluster.client().wait(id, PATIENCE).await;
        assert_eq!(job.state(), job::State::Succeeded);
        let history = cluster.database.history(id).await;
        assert_eq!(successes(&history).len(), 1);
        assert!(history.iter().all(|it| ["succeeded", "lost"].contains(&it.outcome.as_str())));
        assert_eq!(cluster.lines(&format!("ended-{round}")).len(), history.len());
    }
}

#[tokio::test]
async fn an_agent_that_is_asked_to_end_hands_back_what_it_does_not_finish() {
    let mut cluster = Cluster::create(postq_tests::Database::create().await);
    cluster.add_coordinator(&[]).await;
    let environment = vec![("POSTQ_DRAIN_TIMEOUT".to_owned(), "0s".into())];
    cluster.add_agent(postq_tests::AgentSetup { environment, ..Default::default() }).await;
    let id = cluster.submit(&hangs_once(&cluster)).await;
    cluster.wait_for_file("held").await;
    assert!(cluster.agent(0).terminate().await.success());
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new(), "left behind");
    cluster.add_agent(postq_tests::AgentSetup::default()).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!((job.tasks["a"].attempts, job.tasks["a"].crashes), (1, 0));
    assert_eq!(cluster.database.outcomes(id).await, "a released, a succeeded");
}

/// A failover: every connection of every coordinator ends, several times.
#[tokio::test]
async fn connections_to_the_database_that_break_lose_no_attempt() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let runs = cluster.path("runs");
    let task = |n: usize| {
        let command = format!("echo {n} >> {}; sleep 0.2", runs.display());
        (format!("t{n:02}"), json!({"command": command}))
    };
    let tasks: serde_json::Map<_, _> = (0..20).map(task).collect();
    let id = client.submit(&json!({"tasks": tasks})).await;
    for n in 1..=4 {
        let further = async || (cluster.lines("runs").len() >= n * 4).then_some(());
        eventually("it gets further", PATIENCE, further).await;
        cluster.database.end_sessions().await;
    }
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded);
    let history = cluster.database.history(id).await;
    assert_eq!(successes(&history).len(), 20);
    assert!(history.iter().all(|it| ["succeeded", "released"].contains(&it.outcome.as_str())));
    let ran: std::collections::BTreeSet<_> = cluster.lines("runs").into_iter().collect();
    assert_eq!((ran.len(), cluster.lines("runs").len()), (20, 20), "nothing ran twice");
}
