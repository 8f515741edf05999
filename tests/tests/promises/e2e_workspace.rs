//! Files follow the graph from host to host, and what the graph does not order is never guessed.

use std::time::Duration;

use postq_proto::v1::{Job, job, task};
use postq_tests::{Cluster, successes};
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(90);

/// What `a` leaves, and what `b` and `c` make of it on two agents of one slot each: each waits for
/// the other to have started.
fn diamond(cluster: &Cluster, b: &str, c: &str, d: &str) -> Value {
    let meet = |mine: &str, other: &str, work: &str| {
        let (mine, other) = (cluster.path(mine), cluster.path(other));
        let (mine, other) = (mine.display(), other.display());
        format!("touch {mine}; until [ -e {other} ]; do sleep 0.05; done; {work}")
    };
    let a = "echo of a > kept; echo doomed > doomed; mkdir -p empty deep/er; echo x > deep/er/file
             printf '#!/bin/sh\necho ran\n' > run; chmod 755 run; chmod 640 kept
             ln -s deep/er/file link; ln -s /nowhere/at/all dangling";
    json!({"tasks": {
        "a": {"command": a},
        "b": {"depends": ["a"], "command": meet("b-up", "c-up", b)},
        "c": {"depends": ["a"], "command": meet("c-up", "b-up", c)},
        "d": {"depends": ["b", "c"], "command": d},
    }})
}

fn agent_of<'a>(job: &'a Job, task: &str) -> &'a str {
    &job.tasks[task].attempt.as_ref().unwrap().agent
}

async fn run(cluster: &Cluster, document: &Value) -> (Uuid, Job) {
    let id = cluster.submit(document).await;
    (id, cluster.client().wait(id, LIMIT).await)
}

#[tokio::test]
async fn a_join_has_the_files_of_tasks_that_ran_on_two_agents() {
    let cluster = Cluster::start(&[1, 1]).await;
    let look = "set -e; cat b.txt c.txt kept link; [ ! -e doomed ]; [ -d empty ]; ls -A empty
                ./run; stat -c %a run kept; readlink link dangling; find . | sort | tr '\\n' ' '";
    let document = diamond(
        &cluster,
        "echo from b > b.txt; rm doomed",
        "./run > c.txt; [ -e doomed ] && echo seen by c >> c.txt",
        look,
    );
    let (_, job) = run(&cluster, &document).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    assert_ne!(agent_of(&job, "b"), agent_of(&job, "c"));
    let wanted = "from b\nran\nseen by c\nof a\nx\nran\n755\n640\ndeep/er/file\n/nowhere/at/all\n\
                  . ./b.txt ./c.txt ./dangling ./deep ./deep/er ./deep/er/file ./empty ./kept ./link ./run ";
    assert_eq!(job.tasks["d"].results, wanted);
    assert!(!job.tasks["d"].snapshot.is_empty());
}

#[tokio::test]
async fn a_conflict_fails_the_joining_task_with_the_path_and_both_writers() {
    let cluster = Cluster::start(&[1, 1]).await;
    let document = diamond(&cluster, "echo b > same", "echo c > same", "cat same");
    let (id, job) = run(&cluster, &document).await;
    assert_eq!((job.state(), job.tasks["d"].state()), (job::State::Failed, task::State::Failed));
    let reason = &job.tasks["d"].reason;
    for word in ["same", "b", "c"] {
        let words = reason.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.into_iter().any(|it| it == word), "{reason} lacks {word}");
    }
    assert_eq!(job.tasks["d"].results, "", "it must not have run");
    assert_eq!(successes(&cluster.database.history(id).await).len(), 3);
}

#[tokio::test]
async fn a_conflict_may_be_left_to_the_last_dependency() {
    let cluster = Cluster::start(&[1, 1]).await;
    let mut document = diamond(&cluster, "echo b > same", "echo c > same", "cat same");
    document["on_conflict"] = json!("PREFER_LAST_DEPENDENCY");
    document["tasks"]["d"]["depends"] = json!(["c", "b"]);
    let (_, job) = run(&cluster, &document).await;
    assert_eq!(job.tasks["d"].results, "b\n", "{}", job.tasks["d"].reason);
}

/// The promise of the demo: an agent dies in the middle, and the job ends in success.
#[tokio::test]
async fn files_survive_the_agent_that_made_them() {
    let mut cluster = Cluster::start(&[1, 1]).await;
    let held = cluster.path("held");
    let held = held.display();
    // The first execution of b hangs after it has written.
    let b = format!(
        "echo half > b.txt; [ -e {held} ] || {{ echo up > {held}; tail -f {held}; }}; echo whole > b.txt"
    );
    let document = diamond(&cluster, &b, "echo from c > c.txt", "cat kept b.txt c.txt; [ -x run ]");
    let id = cluster.submit(&document).await;
    cluster.wait_for_file("held").await;
    let client = cluster.client();
    let is_done = |job: &Job| job.tasks["c"].state() == task::State::Succeeded;
    let job = client.wait_until(id, "c is done", LIMIT, is_done).await;
    let dead = agent_of(&job, "b").to_owned();
    let number = cluster.agent_named(&dead);
    cluster.agent(number).kill().await;
    let job = client.wait(id, Duration::from_secs(30)).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    assert_eq!(job.tasks["d"].results, "of a\nwhole\nfrom c\n");
    let history = cluster.database.history(id).await;
    let lost: Vec<_> = history.iter().filter(|it| it.outcome == "lost").collect();
    assert_eq!(lost.len(), 1, "{history:#?}");
    assert_eq!((lost[0].task.as_str(), &lost[0].agent), ("b", &dead));
    assert_eq!(successes(&history).len(), 4);
}

#[tokio::test]
async fn a_task_without_a_workspace_sees_no_files_and_lets_them_pass() {
    let cluster = Cluster::start(&[2]).await;
    let (_, job) = run(
        &cluster,
        &json!({"tasks": {
            "a": {"command": "echo a > f"},
            "none": {"depends": ["a"], "workspace": "NONE", "command": "ls -A; echo lost > g"},
            "b": {"depends": ["none"], "command": "cat f; ls -A"},
        }}),
    )
    .await;
    assert_eq!(job.tasks["none"].results, "");
    assert_eq!(job.tasks["b"].results, "a\nf\n");
    assert_eq!(job.tasks["none"].snapshot, "");
}

#[tokio::test]
async fn what_a_failed_execution_wrote_is_not_seen_by_the_next() {
    let cluster = Cluster::start(&[1]).await;
    let runs = cluster.path("runs");
    let command =
        format!("ls -A; echo x >> {0}; echo x > left; [ $(wc -l < {0}) -ge 2 ]", runs.display());
    let (_, job) = run(
        &cluster,
        &json!({"tasks": {
            "a": {"command": command, "retry": {"max_attempts": 2, "backoff": "0.01s"}},
            "b": {"depends": ["a"], "command": "ls -A"},
        }}),
    )
    .await;
    assert_eq!((job.tasks["a"].results.as_str(), job.tasks["b"].results.as_str()), ("", "left\n"));
}
