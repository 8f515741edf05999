//! Containers that outlive their agent: the next life goes on with them, or removes them.

use nix::sys::signal::Signal;
use postq_proto::v1::{attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    docker::{connected_with, container, containers_of, docker},
    fake::joined,
    process::Agent,
    support::{eventually, seconds},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_goes_on_with_a_container_to_its_end() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, session) = connected_with(dir.path(), &[]).await;
    let agent_id = session.hello.agent_id.clone();
    let command = "echo before; until [ -e go ]; do sleep 0.05; done; echo after; \
                   echo 7 > $POSTQ_OUTPUT; exit $(cat go)";
    for attempt in [1, 2] {
        let mut assignment = container(attempt, command);
        assignment.timeout = seconds(600);
        session.assign(assignment).await;
        fake.all_chunks(attempt, 1).await;
    }
    agent.kill();
    drop(session);
    let go = |attempt: i64| dir.path().join(format!("attempts/{attempt}/scratch/workspace/go"));
    // One ends while nobody looks, the other one afterwards.
    std::fs::write(go(2), "3").unwrap();
    let running =
        || docker(&["ps", "--quiet", "--filter", &format!("label=postq.agent={agent_id}")]);
    eventually("one to end", || running().lines().count() == 1).await;
    let mut agent = Agent::start_with(&fake.url(), dir.path(), &["--executors=docker"], &[]);
    let mut session = fake.session().await;
    let mut held: Vec<i64> = session.hello.held.iter().map(|held| held.attempt).collect();
    held.sort_unstable();
    assert_eq!(held, [1, 2]);
    let report = session.report().await;
    assert_eq!((report.of.unwrap().attempt, report.exit_code), (2, Some(3)));
    session.record(2).await;
    fake.chunks_when(1, |chunks| !joined(chunks, Stream::System).is_empty()).await;
    std::fs::write(go(1), "0").unwrap();
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    assert_eq!(report.stdout, b"before\nafter\n");
    assert_eq!(report.result, b"7");
    assert!(report.image.starts_with("sha256:"));
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    assert_eq!(joined(&chunks, Stream::Stdout), b"before\nafter\n");
    let said = String::from_utf8(joined(&chunks, Stream::System)).unwrap();
    assert!(said.contains("the agent was restarted"), "{said}");
    session.record(1).await;
    eventually("nothing to be left", || {
        containers_of(&agent_id).is_empty() && agent.attempts_on_disk().is_empty()
    })
    .await;
    agent.signal(Signal::SIGTERM);
    assert!(agent.exited().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_nobody_wants_any_more_is_removed_after_a_restart() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, session) = connected_with(dir.path(), &[]).await;
    let agent_id = session.hello.agent_id.clone();
    for attempt in [1, 2] {
        session.assign(container(attempt, "echo up; sleep 600")).await;
        fake.all_chunks(attempt, 1).await;
    }
    agent.kill();
    drop(session);
    // Of one the agent has no note any more.
    std::fs::remove_dir_all(dir.path().join("attempts/2")).unwrap();
    let agent = Agent::start_with(&fake.url(), dir.path(), &["--executors=docker"], &[]);
    let session = fake.session().await;
    let held: Vec<i64> = session.hello.held.iter().map(|held| held.attempt).collect();
    assert_eq!(held, [1]);
    assert_eq!(containers_of(&agent_id).len(), 1);
    session.abandon(1).await;
    eventually("nothing to be left", || {
        containers_of(&agent_id).is_empty() && agent.attempts_on_disk().is_empty()
    })
    .await;
}
