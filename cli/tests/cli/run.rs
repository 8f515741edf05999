//! `postq run`: from an empty machine to a result, and nothing left of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::command::clean;

const DIAMOND: &str = r#"
tasks:
  read: {command: "cat given > read; echo read it"}
  left: {depends: [read], command: "tr a-z A-Z < read > left; sleep 0.3"}
  right: {depends: [read], command: "rev < read > right || cp read right; sleep 0.3"}
  join: {depends: [left, right], command: "cat left right > joined; rm given"}
"#;

/// Runs it with temporary files in a directory of its own, which must be empty afterwards.
fn run_in(temporary: &Path, arguments: &[&str], document: &str) -> (i32, String, String) {
    let job = temporary.with_extension("yaml");
    fs::write(&job, document).unwrap();
    let output = clean()
        .args(["run", job.to_str().unwrap()])
        .args(arguments)
        .env("TMPDIR", temporary)
        .output()
        .unwrap();
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "something is left");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A directory that Postgres' user may pass through.
fn temporary() -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let all = fs::Permissions::from_mode(0o755);
    let directory = tempfile::Builder::new().permissions(all).tempdir().unwrap();
    let path = directory.path().join("tmp");
    fs::create_dir(&path).unwrap();
    (directory, path)
}

#[test]
fn files_go_through_a_diamond_and_come_out() {
    let (above, temporary) = temporary();
    let given = above.path().join("in");
    fs::create_dir(&given).unwrap();
    fs::write(given.join("given"), "abc\n").unwrap();
    let out = above.path().join("out");
    let arguments =
        ["--workspace", given.to_str().unwrap(), "--out", out.to_str().unwrap(), "--slots", "1"];
    let (code, shown, told) = run_in(&temporary, &arguments, DIAMOND);
    assert_eq!(code, 0, "{shown}{told}");
    assert!(fs::read_to_string(out.join("joined")).unwrap().starts_with("ABC\n"));
    assert!(!out.join("given").exists());
    assert!(shown.contains("read | read it"), "{shown}");
    let rows = shown.lines().filter(|line| line.contains("  succeeded  agent-"));
    assert_eq!(rows.count(), 4, "{shown}");
    // (A watcher looks twice a second: that a short task ran is seen when it has ended.)
    assert!(told.contains(" join  succeeded  agent-"), "{told}");
}

#[test]
fn a_job_that_fails_ends_in_one_and_says_why() {
    let (_above, temporary) = temporary();
    let document = "tasks: {a: {command: exit 7}, b: {command: x, depends: [a]}}";
    let (code, shown, told) = run_in(&temporary, &[], document);
    assert_eq!(code, 1, "{shown}{told}");
    assert!(shown.contains("a     failed") && shown.contains("skipped"), "{shown}");
}

#[test]
fn json_is_one_document_whatever_the_tasks_write() {
    let (_above, temporary) = temporary();
    let document = "tasks: {a: {command: echo Hey!}}";
    let (code, shown, told) = run_in(&temporary, &["--output", "json"], document);
    assert_eq!(code, 0, "{told}");
    let answer: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(answer["job"]["tasks"]["a"]["results"], "Hey!\n", "{shown}");
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let (above, temporary) = temporary();
    let job = above.path().join("job.yaml");
    fs::write(&job, "tasks: {a: {command: echo started; exec sleep 600}}").unwrap();
    let mut child = clean()
        .args(["run", job.to_str().unwrap()])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "a | started"));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn a_cluster_that_cannot_start_names_its_log() {
    let (_above, temporary) = temporary();
    let job = temporary.with_extension("yaml");
    fs::write(&job, "tasks: {a: {command: x}}").unwrap();
    let output = clean()
        .args(["run", job.to_str().unwrap(), "--slots", "0"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let log = told.trim_end().rsplit("its log is ").next().unwrap();
    assert!(fs::metadata(log).unwrap().len() > 0, "{told}");
}

#[test]
fn a_database_that_does_not_answer_is_told_before_anything_starts() {
    let (_above, temporary) = temporary();
    let url = ["--database-url", "postgres://127.0.0.1:1/none"];
    let (code, _, told) = run_in(&temporary, &url, "tasks: {a: {command: x}}");
    assert_eq!((code, told.lines().count()), (3, 1), "{told}");
}

#[test]
fn a_task_for_a_worker_that_is_not_there_is_refused() {
    let (_above, temporary) = temporary();
    let document = "tasks: {mail: {handler: send_mail}}";
    let (code, _, told) = run_in(&temporary, &[], document);
    assert_eq!((code, told.lines().count()), (7, 1), "{told}");
    assert!(told.contains("task mail: needs a language worker"), "{told}");
}
