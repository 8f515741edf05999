//! An attempt ends with its processes, whoever else was handed its output.

use std::{fs::File, io::Write, path::Path, time::Duration};

use postq_proto::v1::{Report, attempt::Outcome};
use tempfile::tempdir;

use crate::{
    process::{connected, pid_in},
    support::{seconds, shell},
};

/// Runs a task whose standard output somebody outside of it holds open, and hands that to `foreign`
/// when the task is about to end by itself, ten seconds before its timeout.
async fn with_a_holder(dir: &Path, foreign: impl FnOnce(File)) -> Report {
    let (_fake, _agent, mut session) = connected(&dir.join("home"), &[]).await;
    let command = format!(
        "echo mine; echo $$ > {dir}/pid; while ! test -e {dir}/go; do sleep 0.02; done",
        dir = dir.display()
    );
    let mut assignment = shell(1, &command);
    assignment.timeout = seconds(10);
    session.assign(assignment).await;
    let pid = pid_in(&dir.join("pid")).await;
    let held = File::options().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
    foreign(held);
    std::fs::write(dir.join("go"), "").unwrap();
    session.report().await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_holds_the_output_does_not_hold_the_attempt() {
    let dir = tempdir().unwrap();
    let mut kept = None;
    let report = with_a_holder(dir.path(), |held| kept = Some(held)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    assert_eq!(report.stdout, b"mine\n");
    assert!(kept.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_goes_on_writing_the_output_does_not_hold_the_attempt() {
    let dir = tempdir().unwrap();
    let report = with_a_holder(dir.path(), |mut held| {
        std::thread::spawn(move || {
            while held.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    })
    .await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    assert!(report.stdout.starts_with(b"mine\n"));
    assert!(report.ran_for.unwrap().seconds < 5);
}
