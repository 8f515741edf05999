//! What a task sees of its surroundings.

use std::collections::BTreeMap;

use tempfile::tempdir;

use crate::{
    fake::Fake,
    process::{Agent, connected},
    support::shell,
};

fn parse(env: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(env.to_vec()).unwrap();
    let pairs = text.split_terminator('\0').map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sees_what_it_was_promised_and_nothing_of_the_agents_environment() {
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let env = [("POSTQ_TOKEN", "s3cret"), ("SECRET_OF_THE_AGENT", "1"), ("LD_BIND_NOW", "1")];
    let args = ["--executors=shell", "--name=worker-7"];
    let _agent = Agent::start_with(&fake.url(), dir.path(), &args, &env);
    let mut session = fake.session().await;
    assert_eq!(fake.tokens(), [Some("Bearer s3cret".to_owned())]);

    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut assignment = shell(7, "cat /proc/self/environ");
    assignment.env = [("COLOUR", "blue"), ("POSTQ_TASK", "forged")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assignment.attempt_number = 2;
    assignment.traceparent = trace.into();
    let report = session.run(assignment).await;
    let mut env = parse(&report.stdout);
    for (name, wanted) in [
        ("COLOUR", "blue"),
        ("POSTQ_JOB_ID", "0193d0a0-0000-7000-8000-000000000001"),
        ("POSTQ_JOB_NAME", "demo"),
        ("POSTQ_TASK", "build"),
        ("POSTQ_ATTEMPT", "7"),
        ("POSTQ_ATTEMPT_NUMBER", "2"),
        ("POSTQ_QUEUE", "default"),
        ("POSTQ_AGENT", "worker-7"),
        ("TRACEPARENT", trace),
        ("LANG", "C.UTF-8"),
    ] {
        assert_eq!(env.remove(name).as_deref(), Some(wanted), "{name}");
    }
    for name in [
        "PATH",
        "HOME",
        "TMPDIR",
        "POSTQ_WORKSPACE",
        "POSTQ_JOB",
        "POSTQ_DATA",
        "POSTQ_INPUTS",
        "POSTQ_OUTPUT",
    ] {
        assert!(env.remove(name).is_some(), "{name}");
    }
    // What the shell itself sets.
    for name in ["PWD", "OLDPWD", "SHLVL", "_"] {
        env.remove(name);
    }
    assert_eq!(env, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_starts_in_an_empty_workspace_with_an_empty_home_and_no_input() {
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, dir.path(), &[]);
    let mut session = fake.session().await;
    let command = "ls -A . \"$HOME\" \"$TMPDIR\"; cat; test \"$PWD\" != \"$HOME\"; \
                   ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) ->.*/\\1/p' | tr '\\n' ' '";
    let report = session.run(shell(1, command)).await;
    assert_eq!(report.exit_code, Some(0));
    let text = String::from_utf8(report.stdout).unwrap();
    // `ls` itself opens the directory it lists.
    assert!(text.trim().ends_with("0 1 2 3"), "{text}");
    assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 4, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_the_usual_umask_and_no_descriptor_whatever_its_agent_was_started_with() {
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let _agent =
        Agent::start_within("umask 077; exec 7</dev/null; exec \"$0\" \"$@\"", &fake, dir.path());
    let mut session = fake.session().await;
    let report = session.run(shell(1, "umask; echo /proc/$$/fd/*; readlink /proc/$$/fd/0")).await;
    let text = String::from_utf8(report.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let numbers: Vec<&str> =
        lines[1].split(' ').map(|path| path.rsplit('/').next().unwrap()).collect();
    assert_eq!((lines[0], lines[2]), ("0022", "/dev/null"));
    // What the shell reads its own listing with is not there any more when it is printed.
    assert!(numbers.starts_with(&["0", "1", "2"]) && !numbers.contains(&"7"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_task_have_the_bits_that_the_umask_of_its_agent_leaves_them() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &["--umask=027"]).await;
    let report = session.run(shell(1, "touch file; mkdir dir; stat -c %a file dir")).await;
    assert_eq!(report.stdout, b"640\n750\n", "{report:?}");
}
