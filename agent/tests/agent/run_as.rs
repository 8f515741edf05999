//! Tasks that run as a user of their own. Needs root, as the option does; who is not is told so.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use nix::unistd::{User, geteuid};
use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    process::{command, connected},
    support::{eventually, shell},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_as_the_user_and_reaches_neither_its_guard_nor_what_the_agent_keeps() {
    if !geteuid().is_root() {
        return;
    }
    let dir = tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_fake, agent, mut session) = connected(dir.path(), &["--run-as=nobody"]).await;
    let command = "id -u; id -g; id -G; touch kept \"$HOME/h\" \"$TMPDIR/t\" && cd \"$POSTQ_WORKSPACE\" && \
                   stat -c %U kept; \
                   kill -STOP $PPID || kill -KILL $PPID || cat ../../assignment || ls ../../.. || \
                   cat /proc/$PPID/environ || echo safe";
    let report = session.run(shell(1, command)).await;
    let nobody = User::from_name("nobody").unwrap().unwrap();
    // Root's other groups are not among its own.
    let wanted = format!("{0}\n{1}\n{1}\nnobody\nsafe\n", nobody.uid, nobody.gid);
    assert_eq!(String::from_utf8(report.stdout.clone()).unwrap(), wanted, "{report:?}");
    // As long as has to be read from a file; and what it locked away goes all the same.
    let long = format!(": '{}'; id -u; mkdir a; chmod 000 a", "x".repeat(300_000));
    let report = session.run(shell(2, &long)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
    assert_eq!(report.stdout, format!("{}\n", nobody.uid).into_bytes());
    eventually("nothing to be left", || agent.attempts_on_disk().is_empty()).await;
}

#[test]
fn a_user_that_does_not_exist_is_named_at_the_start() {
    let dir = tempdir().unwrap();
    let output = command("http://127.0.0.1:1", dir.path(), &["--run-as=no-such-user"], &[])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("there is no user `no-such-user` on this host"), "{message}");
}
