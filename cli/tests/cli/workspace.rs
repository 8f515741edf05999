//! The files of jobs: what changed, archives, uploads, a shell in a task's files.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use postq_cli::embedded::directory::ScratchDirectory;
use serde_json::Value;

use crate::{
    command::{Ended, run},
    up::{Up, up},
};

fn ask(up: &Up, arguments: &[&str], input: &str) -> Ended {
    let (options, rest) = match arguments.iter().position(|word| *word == "--") {
        Some(at) => arguments.split_at(at),
        None => (arguments, &[][..]),
    };
    let mut all = options.to_vec();
    all.extend(["--coordinator", &up.endpoint]);
    all.extend(rest);
    run(&all, input)
}

fn submitted(up: &Up, arguments: &[&str], document: &str) -> String {
    let ended = ask(up, &[&["submit", "-", "-o", "json"], arguments].concat(), document);
    assert_eq!(ended.code, 0, "{ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    let id = answer["job"]["id"].as_str().or(answer["id"].as_str());
    id.unwrap().to_owned()
}

const JOB: &str = r#"
env: {GREETING: hello}
tasks:
  a: {command: "mkdir d; echo one > d/f; echo gone > d/g"}
  b: {depends: [a], env: {WHO: world}, command: "cat d/f; echo two >> d/f; rm d/g; echo new > h; exit 3"}
"#;

#[test]
fn what_a_task_changed_is_shown_and_a_failed_one_can_be_looked_into() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let failed = ask(&up, &["submit", "-", "--watch", "--no-logs", "-o", "json"], JOB);
    assert_eq!(failed.code, 1, "{failed:?}");
    let answer: Value = serde_json::from_str(&failed.out).unwrap();
    let id = answer["job"]["id"].as_str().unwrap().to_owned();
    let (of_a, of_b) = (format!("{id}/a"), format!("{id}/b"));

    let diff = ask(&up, &["workspace", "diff", &of_a], "").out;
    assert_eq!(diff, "added     d\nadded     d/f\nadded     d/g\n");
    let none = ask(&up, &["workspace", "diff", &of_b], "");
    assert!(none.problems().join(" ").contains("left no files"), "{none:?}");

    let look = "cat d/f d/g; echo $GREETING $WHO $POSTQ_TASK; sh -c \"$POSTQ_COMMAND\"";
    let shell = ask(&up, &["workspace", "shell", &of_b, "--", "sh", "-c", look], "");
    assert_eq!(shell.out, "one\ngone\nhello world b\none\n", "{shell:?}");
    assert_eq!(shell.code, 1, "{shell:?}");
    let dir = scratch.path().join("looked-into");
    let words = ["workspace", "shell", &of_b, "--dir", dir.to_str().unwrap(), "--", "true"];
    assert_eq!(ask(&up, &words, "").code, 0);
    assert_eq!(fs::read_to_string(dir.join("d/f")).unwrap(), "one\n");
    up.stop();
}

#[test]
fn a_directory_is_uploaded_and_comes_back_as_an_archive() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let dir = scratch.path().join("given");
    fs::create_dir_all(dir.join("sub/target")).unwrap();
    fs::write(dir.join("sub/large"), vec![7; 3 << 20]).unwrap();
    fs::write(dir.join("sub/target/left-out"), "x").unwrap();
    let words = ["workspace", "put", dir.to_str().unwrap(), "--ignore", "target/"];
    let put = ask(&up, &words, "");
    let digest = put.out.trim();
    assert_eq!((put.code, digest.len()), (0, 64), "{put:?}");
    assert_eq!(ask(&up, &words, "").out.trim(), digest);

    let document = format!(
        "input: {digest}\ntasks: {{a: {{command: 'wc -c < sub/large; ls sub; echo x > y'}}}}"
    );
    let id = submitted(&up, &["--watch", "--no-logs"], &document);
    let changed = ask(&up, &["workspace", "diff", &id], "").out;
    assert_eq!(changed, "added     y\n");
    let large = ask(&up, &["workspace", "get", &id, "sub/large"], "");
    assert_eq!(large.out.len(), 3 << 20);

    let archive = scratch.path().join("files.tar");
    let written = ask(&up, &["workspace", "get", &id, "--tar", archive.to_str().unwrap()], "");
    assert_eq!(written.code, 0, "{written:?}");
    let listed = Command::new("tar").arg("tf").arg(&archive).output().unwrap();
    let mut names: Vec<_> = std::str::from_utf8(&listed.stdout)
        .unwrap()
        .lines()
        .map(|name| name.trim_end_matches('/'))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["sub", "sub/large", "y"]);
    up.stop();
}

/// The number of the attempt that runs a task, once it does.
fn attempt_of(up: &Up, job: &str, task: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let job: Value =
            serde_json::from_str(&ask(up, &["get", job, "-o", "json"], "").out).unwrap();
        let task = &job["job"]["tasks"][task];
        if task["state"] == "RUNNING" {
            return task["attempt"]["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "it does not start: {job:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_checks_out_the_files_of_its_attempt_and_keeps_what_it_made_of_them() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let ended = scratch.path().join("ended");
    let document = format!(
        "{{ignore: ['*.tmp'], tasks: {{
            a: {{command: 'mkdir d; echo one > d/f; echo old > g'}},
            b: {{depends: [a], outputs: ['/d/'], command: 'until [ -e {} ]; do sleep 0.05; done'}}}}}}",
        ended.display()
    );
    let id = submitted(&up, &[], &document);
    let attempt = attempt_of(&up, &id, "b");
    let dir = scratch.path().join("work");
    let path = dir.to_str().unwrap();
    let out = ask(&up, &["workspace", "checkout", &attempt, path], "");
    assert_eq!(out.code, 0, "{out:?}");
    assert_eq!(fs::read_to_string(dir.join("d/f")).unwrap(), "one\n");
    let again = ask(&up, &["workspace", "checkout", &attempt, path], "");
    assert!(again.code != 0 && again.problems().join(" ").contains("is not empty"), "{again:?}");

    fs::write(dir.join("d/new"), "two").unwrap();
    fs::write(dir.join("d/x.tmp"), "ignored").unwrap();
    fs::write(dir.join("g"), "not kept").unwrap();
    let kept = ask(&up, &["workspace", "snapshot", &attempt, path], "");
    let digest = kept.out.trim().to_owned();
    assert_eq!((kept.code, digest.len()), (0, 64), "{kept:?}");
    let for_report = ask(&up, &["workspace", "snapshot", &attempt, path, "-o", "json"], "").out;
    let for_report: Value = serde_json::from_str(&for_report).unwrap();
    assert!(for_report["content"].is_string() && for_report["provenance"].is_string());
    let look =
        format!("input: {digest}\ntasks: {{a: {{command: 'find . -type f | sort; cat g'}}}}");
    let look = submitted(&up, &["--watch", "--no-logs"], &look);
    let logs = ask(&up, &["logs", &look], "").out;
    for line in ["./d/f", "./d/new", "./g", "old"] {
        assert!(logs.lines().any(|it| it.ends_with(line)), "{line}: {logs}");
    }
    assert!(!logs.contains("tmp") && !logs.contains("not kept"), "{logs}");

    fs::write(&ended, "").unwrap();
    let waited = ask(&up, &["wait", &id], "");
    assert_eq!(waited.code, 0, "{waited:?}");
    for verb in ["checkout", "snapshot"] {
        let late = ask(&up, &["workspace", verb, &attempt, path], "");
        let told = late.problems().join(" ");
        assert!(late.code != 0 && told.contains("is not running"), "{verb}: {late:?}");
    }
    up.stop();
}

#[test]
fn a_job_without_artifacts_says_so() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let id = submitted(&up, &["--watch", "--no-logs"], "tasks: {a: {command: 'echo x > x'}}");
    let none = ask(&up, &["workspace", "ls", &id, "--artifacts"], "");
    assert!(none.problems().join(" ").contains("has no artifacts"), "{none:?}");
    let of_a_task = ask(&up, &["workspace", "ls", &format!("{id}/a"), "--artifacts"], "");
    assert!(of_a_task.problems().join(" ").contains("a task has no artifacts"), "{of_a_task:?}");
    let listed = ask(&up, &["workspace", "artifacts"], "");
    assert!(listed.code == 0 && listed.out.starts_with("no artifacts"), "{listed:?}");
    let deleted = ask(&up, &["workspace", "artifacts", "delete", &id], "");
    assert!(deleted.problems().join(" ").contains("has no artifacts"), "{deleted:?}");
    up.stop();
}
