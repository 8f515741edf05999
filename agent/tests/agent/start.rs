//! An agent that cannot start says in one line what is wrong and what to do.

use std::{path::Path, process::Command};

use tempfile::tempdir;

use crate::process::{command, connected};

/// Runs an agent that must refuse to start; returns its complaint.
fn complaint(mut command: Command) -> String {
    let output = command.env_remove("RUST_BACKTRACE").output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("postq-agent: "), "{text}");
    last
}

fn with(url: &str, home: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    complaint(command(url, home, args, env))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_cannot_share_a_work_directory() {
    let dir = tempdir().unwrap();
    let (fake, _agent, _session) = connected(dir.path(), &[]).await;
    let message = with(&fake.url(), dir.path(), &["--executors=shell"], &[]);
    assert!(message.contains("another agent runs in the work directory"), "{message}");
    assert!(message.contains("--work-dir"), "{message}");
}

#[test]
fn a_work_directory_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let message = with("localhost:1", file.path(), &["--executors=shell"], &[]);
    assert!(message.contains(file.path().to_str().unwrap()), "{message}");
}

#[test]
fn a_bad_address_and_a_bad_token_are_refused() {
    let dir = tempdir().unwrap();
    let message = with("https://host:1", dir.path(), &[], &[]);
    assert!(message.contains("`https://host:1`"), "{message}");
    let message = with("host:1", dir.path(), &[], &[("POSTQ_TOKEN", "two\nlines")]);
    assert!(message.contains("token") && !message.contains("two"), "{message}");
}

#[test]
fn an_engine_that_was_asked_for_and_does_not_answer_is_an_error() {
    let dir = tempdir().unwrap();
    let env = [("DOCKER_HOST", "unix:///nonexistent/docker.sock")];
    let message = with("host:1", dir.path(), &["--executors=shell,docker"], &env);
    assert!(message.contains("no Docker engine answers"), "{message}");
    assert!(message.contains("DOCKER_HOST"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_an_agent_that_was_not_asked_for_it_has_only_a_shell() {
    let dir = tempdir().unwrap();
    let mut fake = crate::fake::Fake::start().await;
    let env = [("DOCKER_HOST", "unix:///nonexistent/docker.sock")];
    let _agent = crate::process::Agent::start_with(&fake.url(), dir.path(), &[], &env);
    assert_eq!(fake.session().await.hello.executors, ["shell"]);
}
