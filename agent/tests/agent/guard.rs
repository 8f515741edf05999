//! Nothing outlives the agent, and nothing outlives a guard.

use std::process::{Command, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    process::{connected, is_alive, pid_in},
    support::{eventually, shell},
};

/// A task that leaves a child, a daemon that forked twice, and itself.
fn family(dir: &std::path::Path) -> String {
    format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {dir}/child; exec sleep 600' & \
         (setsid sh -c 'trap \"\" TERM; echo $$ > {dir}/daemon; exec sleep 600' >/dev/null 2>&1 &) ; \
         echo $PPID > {dir}/guard; echo $$ > {dir}/main; wait",
        dir = dir.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_agent_leaves_no_process() {
    let dir = tempdir().unwrap();
    let (_fake, agent, session) = connected(dir.path(), &[]).await;
    session.assign(shell(1, &family(dir.path()))).await;
    let mut pids = Vec::new();
    for name in ["main", "child", "daemon", "guard"] {
        pids.push(pid_in(&dir.path().join(name)).await);
    }
    assert!(pids.iter().all(|&pid| is_alive(pid)));
    agent.kill();
    eventually("all processes to be gone", || !pids.iter().any(|&pid| is_alive(pid))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_guard_fails_the_attempt_and_leaves_no_process() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let command = format!(
        "sh -c 'echo $$ > {dir}/child; exec sleep 600' & \
         echo $PPID > {dir}/guard; echo $$ > {dir}/main; wait",
        dir = dir.path().display()
    );
    session.assign(shell(1, &command)).await;
    let child = pid_in(&dir.path().join("child")).await;
    let main = pid_in(&dir.path().join("main")).await;
    let guard = pid_in(&dir.path().join("guard")).await;
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Failed);
    assert!(
        report.reason.contains("the task killed its supervisor (SIGKILL)"),
        "{}",
        report.reason
    );
    assert!(!is_alive(child) && !is_alive(main));
}

#[test]
fn the_guard_started_by_hand_says_that_only_the_agent_starts_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_postq-agent"))
        .arg("exec")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("only the agent itself starts this"), "{message}");
}
