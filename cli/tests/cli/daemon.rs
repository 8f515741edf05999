//! A child process ends with us, however we end.

use std::{fs, path::Path, process, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_cli::embedded::{Daemon, DaemonSpec, EmbeddedError, Stop};

use crate::processes::{all_end, eventually, postq};

fn spec(directory: &Path, script: &str) -> DaemonSpec {
    DaemonSpec {
        name: "child".to_owned(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("GIVEN".to_owned(), Some("value".into()))],
        directory: directory.to_owned(),
        log: directory.join("child.log"),
        user: None,
        stop: Stop {
            polite: Signal::SIGTERM,
            certain: Signal::SIGKILL,
            grace: Duration::from_secs(30),
        },
    }
}

async fn start(directory: &Path, script: &str) -> Daemon {
    Daemon::start(&postq(), spec(directory, script)).await.unwrap()
}

/// Waits for the child's word that it is set up.
fn said(directory: &Path, word: &str) {
    let log = directory.join("child.log");
    eventually(word, || fs::read_to_string(&log).unwrap_or_default().contains(word));
}

#[tokio::test]
async fn a_stopped_child_is_asked_politely() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut daemon = start(directory.path(), script).await;
    said(directory.path(), "ready");
    daemon.stop().await;
    said(directory.path(), "asked");
    all_end(&[daemon.pid()]);
}

#[tokio::test]
async fn a_child_that_does_not_listen_is_killed_after_its_grace() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path(), "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    spec.stop.grace = Duration::from_millis(50);
    let mut daemon = Daemon::start(&postq(), spec).await.unwrap();
    said(directory.path(), "ready");
    daemon.stop().await;
    all_end(&[daemon.pid()]);
}

#[tokio::test]
async fn a_dropped_child_ends() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), "exec sleep 600").await;
    let pid = daemon.pid();
    drop(daemon);
    all_end(&[pid]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_whose_supervisor_is_killed_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), "echo ready; exec sleep 600").await;
    said(directory.path(), "ready");
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    let parent: i32 = parent.trim().parse().unwrap();
    assert_ne!(parent.cast_unsigned(), process::id());
    kill(Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    all_end(&[daemon.pid()]);
    assert!(daemon.wait().await.is_some());
}

#[tokio::test]
async fn a_killed_child_is_seen_to_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), "exec sleep 600").await;
    assert!(daemon.ended().is_none());
    daemon.kill().await;
    assert!(daemon.ended().is_some());
    all_end(&[daemon.pid()]);
}

#[tokio::test]
async fn a_child_has_its_own_variables_and_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), "echo $GIVEN; echo gone >&2; exit 3").await;
    assert_eq!(daemon.wait().await.unwrap().code(), Some(3));
    let log = fs::read_to_string(daemon.log()).unwrap();
    assert_eq!(log, "value\ngone\n");
    let EmbeddedError::NotStarted { last_line, .. } = daemon.not_started("ended") else {
        panic!("another error");
    };
    assert_eq!(last_line, "gone");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(directory.path(), "");
    spec.program = "/nowhere/program".into();
    let mut daemon = Daemon::start(&postq(), spec).await.unwrap();
    assert_eq!(daemon.wait().await.unwrap().code(), Some(127));
    said(directory.path(), "/nowhere/program");
}
