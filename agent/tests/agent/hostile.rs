//! Tasks that work against their agent: each ends, leaves nothing, and the agent goes on.

use std::path::Path;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    fake::{Fake, Session},
    process::{Agent, connected, is_alive, pid_in},
    support::{eventually, millis, seconds, shell},
};

/// A coordinator, an agent with or without a cgroup for each task, and the stream between them.
async fn connected_with(home: &Path, has_cgroups: bool) -> (Fake, Agent, Session) {
    if has_cgroups {
        return connected(home, &[]).await;
    }
    let mut fake = Fake::start().await;
    let agent = Agent::start_without_cgroups(&fake, home, &[]);
    let session = fake.session().await;
    (fake, agent, session)
}

/// A daemon that left the session, and whose environment says nothing.
fn hidden_daemon(pid_file: &Path) -> String {
    format!(
        "(setsid env -i /bin/sh -c 'echo $$ > {0}.tmp; mv {0}.tmp {0}; exec sleep 600' \
         >/dev/null 2>&1 &); while ! test -e {0}; do sleep 0.02; done",
        pid_file.display()
    )
}

/// Deeper than a path can be long, and than a shell can go.
const NEST: &str = "perl -e 'for (1..2500) { mkdir \"d\" and chdir \"d\" or die } chmod 0, \".\"'";

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_nested_directories_are_removed_and_the_agent_goes_on() {
    let dir = tempdir().unwrap();
    let (_fake, agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(shell(1, &format!("{NEST} && exit 3"))).await;
    assert_eq!(report.exit_code, Some(3), "{report:?}");
    eventually("nothing to be left", || agent.attempts_on_disk().is_empty()).await;
    assert_eq!(session.run(shell(2, "true")).await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_starts_where_a_task_nested_thousands_of_directories() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, session) = connected(dir.path(), &[]).await;
    let pid = dir.path().join("pid");
    let command = format!("{NEST} && echo $$ > {}; exec sleep 600", pid.display());
    session.assign(shell(1, &command)).await;
    pid_in(&pid).await;
    agent.kill();
    let agent = Agent::start(&fake, dir.path(), &[]);
    let mut session = fake.session().await;
    assert_eq!(session.report().await.outcome(), Outcome::Lost);
    session.record(1).await;
    eventually("nothing to be left", || agent.attempts_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_stops_its_guard_again_and_again_still_ends_at_its_timeout() {
    for has_cgroups in [true, false] {
        let dir = tempdir().unwrap();
        let (_fake, _agent, mut session) = connected_with(dir.path(), has_cgroups).await;
        let command = format!(
            "trap '' TERM; echo $$ > {}; while :; do kill -STOP $PPID; done",
            dir.path().join("pid").display()
        );
        let mut assignment = shell(1, &command);
        (assignment.timeout, assignment.grace) = (millis(500), millis(200));
        let report = session.run(assignment).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert!(!is_alive(pid_in(&dir.path().join("pid")).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_stops_its_guard_and_ends_has_ended() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(shell(1, "kill -STOP $PPID; exit 4")).await;
    assert_eq!((report.outcome(), report.exit_code), (Outcome::Failed, Some(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_guard_is_stopped_can_be_cancelled_and_drained() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, mut session) = connected(dir.path(), &["--drain-timeout=100ms"]).await;
    let mut agent = agent;
    let path = |name: &str| dir.path().join(name);
    let stopped =
        |name: &str| format!("echo $$ > {}; kill -STOP $PPID; sleep 600", path(name).display());
    session.assign(shell(1, &stopped("first"))).await;
    let pid = pid_in(&path("first")).await;
    session.cancel(1, "").await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert!(!is_alive(pid));
    session.record(1).await;

    session.assign(shell(2, &stopped("second"))).await;
    let pid = pid_in(&path("second")).await;
    agent.signal(Signal::SIGTERM);
    let mut session = fake.session().await;
    assert_eq!(session.report().await.outcome(), Outcome::Released);
    session.record(2).await;
    assert!(agent.exited().await.success());
    assert!(!is_alive(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_guard_leaves_no_daemon_and_is_told_what_it_did() {
    for has_cgroups in [true, false] {
        let dir = tempdir().unwrap();
        let (_fake, agent, mut session) = connected_with(dir.path(), has_cgroups).await;
        let pid_file = dir.path().join("daemon");
        let command = format!("{}; kill -KILL $PPID; sleep 600", hidden_daemon(&pid_file));
        let report = session.run(shell(1, &command)).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        let reason = &report.reason;
        assert!(reason.contains("the task killed its supervisor (SIGKILL)"), "{reason}");
        assert!(!is_alive(pid_in(&pid_file).await), "killed before the report");
        assert_eq!(session.run(shell(2, "true")).await.outcome(), Outcome::Succeeded);
        let children = format!("ps -o pid= --ppid {}", agent.pid());
        eventually("no child of the agent to be left, dead or alive", || {
            let output = std::process::Command::new("sh").args(["-c", &children]).output();
            output.unwrap().stdout.is_empty()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tasks_go_on_while_one_kills_its_guard() {
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let _agent = Agent::start_without_cgroups(&fake, dir.path(), &["--slots=4"]);
    let mut session = fake.session().await;
    let (pid, go) = (dir.path().join("pid"), dir.path().join("go"));
    let patient = format!(
        "echo $$ > {}; while ! test -e {}; do sleep 0.02; done",
        pid.display(),
        go.display()
    );
    session.assign(shell(1, &patient)).await;
    pid_in(&pid).await;
    for attempt in 2..=4 {
        let report = session.run(shell(attempt, "sleep 600 & kill -KILL $PPID; wait")).await;
        assert_eq!(report.outcome(), Outcome::Failed);
    }
    std::fs::write(go, "").unwrap();
    assert_eq!(session.report().await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_forks_does_not_outrun_its_end() {
    for has_cgroups in [true, false] {
        let dir = tempdir().unwrap();
        let (_fake, _agent, mut session) = connected_with(dir.path(), has_cgroups).await;
        // Each link writes down that it lived, starts the next one and ends. As the shell lets no
        // more than a thousand follow each other, they go on in a new one, `$2` times.
        let (alive, chain) = (dir.path().join("alive"), dir.path().join("chain"));
        let script = r#"
            link() { : > "$1"; n=$((n + 1)); [ $n -lt 500 ] || renew "$@"; link "$@" & exit; }
            renew() { [ $2 -gt 0 ] && exec /bin/sh "$0" "$1" $(($2 - 1)); exit; }
            n=0; link "$@""#;
        std::fs::write(&chain, script).unwrap();
        let chain =
            format!("trap '' TERM; sh {} {} 20 & sleep 600", chain.display(), alive.display());
        let mut assignment = shell(1, &chain);
        (assignment.timeout, assignment.grace) = (millis(500), millis(200));
        let report = session.run(assignment).await;
        assert_eq!(report.outcome(), Outcome::TimedOut, "{report:?}");
        std::fs::remove_file(&alive).unwrap();
        // Whoever was left would be a link further by now, and by then.
        assert_eq!(session.run(shell(2, "sleep 0.2")).await.outcome(), Outcome::Succeeded);
        assert!(!alive.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_kills_what_a_killed_agent_and_a_killed_guard_left() {
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let agent = Agent::start_without_cgroups(&fake, dir.path(), &[]);
    let session = fake.session().await;
    let path = |name: &str| dir.path().join(name);
    let command = format!(
        "(setsid sh -c 'echo $$ > {}; sleep 600; :' &); echo $PPID > {}; sleep 600; :",
        path("daemon").display(),
        path("guard").display()
    );
    session.assign(shell(1, &command)).await;
    let (daemon, guard) = (pid_in(&path("daemon")).await, pid_in(&path("guard")).await);
    // Stopped first, so that neither sees the other die.
    for pid in [guard, agent.pid().as_raw()] {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    }
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    agent.kill();
    assert!(is_alive(daemon));
    let _agent = Agent::start(&fake, dir.path(), &[]);
    let mut session = fake.session().await;
    assert_eq!(session.report().await.outcome(), Outcome::Lost);
    assert!(!is_alive(daemon));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_kills_a_guard_that_was_stopped_and_all_of_its_task() {
    for has_cgroups in [true, false] {
        let dir = tempdir().unwrap();
        let (mut fake, agent, session) = connected_with(dir.path(), has_cgroups).await;
        let (pid_file, guard) = (dir.path().join("daemon"), dir.path().join("guard"));
        let command = format!(
            "{}; kill -STOP $PPID; echo $PPID > {}; sleep 600",
            hidden_daemon(&pid_file),
            guard.display()
        );
        let mut assignment = shell(1, &command);
        assignment.timeout = seconds(600);
        session.assign(assignment).await;
        let (daemon, guard) = (pid_in(&pid_file).await, pid_in(&guard).await);
        // The agent may have sent the guard on its way meanwhile.
        kill(agent.pid(), Signal::SIGSTOP).unwrap();
        kill(Pid::from_raw(guard), Signal::SIGSTOP).unwrap();
        agent.kill();
        assert!(is_alive(daemon) && is_alive(guard));
        let _agent = Agent::start(&fake, dir.path(), &[]);
        let mut session = fake.session().await;
        assert_eq!(session.report().await.outcome(), Outcome::Lost);
        assert!(!is_alive(daemon) && !is_alive(guard));
    }
}
