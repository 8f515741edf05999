//! How an agent goes.

use nix::sys::signal::Signal;
use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    process::{connected, is_alive, pid_in},
    support::{eventually, shell},
};

fn sleeper(dir: &std::path::Path) -> String {
    format!("echo $$ > {}/pid; exec sleep 600", dir.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_agent_goes_at_the_first_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempdir().unwrap();
        let (_fake, mut agent, _session) = connected(dir.path(), &[]).await;
        agent.signal(signal);
        assert!(agent.exited().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_agent_ends_what_runs_and_hands_back_what_comes() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        drains(signal).await;
    }
}

async fn drains(signal: Signal) {
    let dir = tempdir().unwrap();
    let (mut fake, mut agent, session) = connected(dir.path(), &["--slots=4"]).await;
    let go = dir.path().join("go");
    let command = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    session.assign(shell(1, &command)).await;
    eventually("it to be accepted", || !agent.attempts_on_disk().is_empty()).await;
    agent.signal(signal);
    let mut session = fake.session().await;
    assert_eq!(session.hello.slots, 0, "it takes nothing new");
    assert_eq!(session.hello.held[0].attempt, 1);
    session.assign(shell(2, "true")).await;
    let released = session.report().await;
    assert_eq!(
        (released.outcome(), released.reason.as_str()),
        (Outcome::Released, "the agent is stopping")
    );
    session.record(2).await;
    std::fs::write(go, "").unwrap();
    assert_eq!(session.report().await.outcome(), Outcome::Succeeded);
    session.record(1).await;
    assert!(agent.exited().await.success());
    assert!(agent.attempts_on_disk().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_past_the_drain_timeout_is_handed_back() {
    let dir = tempdir().unwrap();
    let (mut fake, mut agent, session) = connected(dir.path(), &["--drain-timeout=200ms"]).await;
    session.assign(shell(1, &sleeper(dir.path()))).await;
    let pid = pid_in(&dir.path().join("pid")).await;
    agent.signal(Signal::SIGTERM);
    let mut session = fake.session().await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Released);
    assert!(!is_alive(pid));
    session.record(1).await;
    assert!(agent.exited().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_stops_at_once_and_what_was_not_recorded_is_told_at_the_next_start() {
    let dir = tempdir().unwrap();
    let (mut fake, mut agent, session) = connected(dir.path(), &[]).await;
    session.assign(shell(1, &format!("trap '' TERM; {}", sleeper(dir.path())))).await;
    let pid = pid_in(&dir.path().join("pid")).await;
    agent.signal(Signal::SIGTERM);
    let mut session = fake.session().await;
    agent.signal(Signal::SIGINT);
    assert_eq!(session.report().await.outcome(), Outcome::Released);
    assert!(!is_alive(pid));
    assert!(agent.exited().await.success());
    let _agent = crate::process::Agent::start(&fake, dir.path(), &[]);
    let mut session = fake.session().await;
    assert_eq!(session.report().await.outcome(), Outcome::Released);
}
