//! How shell tasks end, and what is told of it.

use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    process::{connected, is_alive, pid_in},
    support::{eventually, millis, seconds, shell},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_exits_with_zero_has_succeeded_whatever_it_writes_on_stderr() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(shell(1, "echo 'Hey!'; echo oops >&2")).await;
    assert_eq!(report.outcome(), Outcome::Succeeded);
    assert_eq!((report.exit_code, report.signal), (Some(0), None));
    assert_eq!((report.reason.as_str(), report.is_final), ("", false));
    assert_eq!(
        (report.stdout.as_slice(), report.stderr.as_slice()),
        (&b"Hey!\n"[..], &b"oops\n"[..])
    );
    assert_eq!(report.log_chunks, 2);
    assert!(report.ran_for.is_some() && report.output.is_none());
    assert_eq!(fake.all_chunks(1, 2).await.len(), 2);
    eventually("nothing to be left on disk", || {
        agent.attempts_on_disk().is_empty() && agent.spools_on_disk().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_its_exit_code_and_a_death_its_signal() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let failed = session.run(shell(1, "exit 3")).await;
    assert_eq!(failed.outcome(), Outcome::Failed);
    assert_eq!((failed.exit_code, failed.signal), (Some(3), None));
    assert_eq!(failed.reason, "exit code 3");
    let killed = session.run(shell(2, "kill -KILL $$")).await;
    assert_eq!(killed.outcome(), Outcome::Failed);
    assert_eq!((killed.exit_code, killed.signal), (None, Some(9)));
    assert_eq!(killed.reason, "killed by SIGKILL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_past_its_timeout_is_stopped_and_timed_out() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let mut polite = shell(1, "sleep 600");
    polite.timeout = millis(300);
    let report = session.run(polite).await;
    assert_eq!(report.outcome(), Outcome::TimedOut);
    assert_eq!(report.reason, "ran longer than its timeout of 300ms");
    assert_eq!(report.signal, Some(15));

    let mut stubborn = shell(2, "trap '' TERM; echo kept; while :; do sleep 0.05; done");
    (stubborn.timeout, stubborn.grace) = (millis(300), millis(300));
    let report = session.run(stubborn).await;
    assert_eq!((report.outcome(), report.signal), (Outcome::TimedOut, Some(9)));
    assert_eq!(report.stdout, b"kept\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_gets_its_grace_to_clean_up() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let started = dir.path().join("started");
    let command = format!(
        "trap 'sleep 0.2; echo cleaned; exit 0' TERM; echo $$ > {0}.tmp; mv {0}.tmp {0}; \
         while :; do sleep 0.05; done",
        started.display()
    );
    session.assign(shell(1, &command)).await;
    pid_in(&started).await;
    session.cancel(1, "not needed any more").await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(report.reason, "not needed any more");
    assert_eq!(report.stdout, b"cleaned\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_kills_the_group_and_a_daemon_that_forked_twice_and_left_the_session() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let (child, daemon) = (dir.path().join("child"), dir.path().join("daemon"));
    let command = format!(
        "sh -c 'trap \"\" TERM; echo $$ > {child}; exec sleep 600' & \
         (setsid sh -c 'trap \"\" TERM; echo $$ > {daemon}; exec sleep 600' >/dev/null 2>&1 &) ; \
         sleep 600",
        child = child.display(),
        daemon = daemon.display(),
    );
    let mut assignment = shell(1, &command);
    assignment.grace = millis(200);
    session.assign(assignment).await;
    let (child, daemon) = (pid_in(&child).await, pid_in(&daemon).await);
    assert!(is_alive(child) && is_alive(daemon));
    session.cancel(1, "").await;
    let report = session.report().await;
    assert_eq!((report.outcome(), report.reason.as_str()), (Outcome::Cancelled, "cancelled"));
    assert!(!is_alive(child) && !is_alive(daemon), "killed before the report");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_leaves_running_dies_with_it() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let left = dir.path().join("left");
    let command =
        format!("setsid sleep 600 & echo $! > {0}.tmp; mv {0}.tmp {0}; echo done", left.display());
    let report = session.run(shell(1, &command)).await;
    assert_eq!((report.outcome(), report.stdout.as_slice()), (Outcome::Succeeded, &b"done\n"[..]));
    assert!(!is_alive(pid_in(&left).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_longer_than_an_argument_may_be_runs() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let long = "x".repeat(300_000);
    let report = session.run(shell(1, &format!(": '{long}'; echo ran"))).await;
    assert_eq!((report.outcome(), report.stdout.as_slice()), (Outcome::Succeeded, &b"ran\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let mut huge = shell(1, "true");
    huge.env.insert("HUGE".into(), "x".repeat(200_000));
    let report = session.run(huge).await;
    assert_eq!(report.outcome(), Outcome::Failed);
    assert!(report.reason.contains("Argument list too long"), "{}", report.reason);
    let mut container = shell(2, "true");
    container.executor = postq_proto::v1::assignment::Executor::Docker.into();
    container.image = "debian".into();
    let report = session.run(container).await;
    assert_eq!(report.reason, "this agent has no executor docker");
    assert!(!report.is_final);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_tasks_run_at_once_than_there_are_slots() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &["--slots=1"]).await;
    let shared = dir.path().join("shared");
    // Each fails if another one is between its mkdir and its rmdir.
    let command = format!("mkdir {0} && sleep 0.1 && rmdir {0}", shared.display());
    for attempt in 1..=4 {
        session.assign(shell(attempt, &command)).await;
    }
    assert_eq!(session.what_do_you_hold(1).await, [1, 2, 3, 4]);
    for _ in 1..=4 {
        let report = session.report().await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_task_locked_away_are_removed() {
    let dir = tempdir().unwrap();
    let (_fake, agent, mut session) = connected(dir.path(), &[]).await;
    let mut assignment = shell(1, "mkdir -p a/b && touch a/b/c && chmod 000 a/b && chmod 500 a");
    assignment.timeout = seconds(30);
    let report = session.run(assignment).await;
    assert_eq!(report.outcome(), Outcome::Succeeded);
    eventually("nothing to be left", || agent.attempts_on_disk().is_empty()).await;
}
