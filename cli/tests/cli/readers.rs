//! What the reading commands show of a job, and of one that is not there.

use std::fs;

use postq_cli::embedded::directory::ScratchDirectory;
use serde_json::Value;

use crate::{
    command::{Ended, run},
    up::{Up, up},
};

const JOB: &str = r#"
name: files
tasks:
  a: {command: "mkdir d; echo one > d/f; ln -s d/f link; echo out; echo err >&2"}
  b: {depends: [a], command: "printf '\\033[1m'; cat d/f; echo two > g"}
"#;

/// The command against this cluster.
fn ask(up: &Up, arguments: &[&str]) -> Ended {
    let mut all = arguments.to_vec();
    all.extend(["--coordinator", &up.endpoint]);
    run(&all, JOB)
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn a_job_is_shown_with_its_tasks_output_and_files() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let submitted = ask(&up, &["submit", "-", "--watch", "--no-logs", "-o", "json"]);
    let id = json(&submitted)["job"]["id"].as_str().unwrap().to_owned();

    assert!(ask(&up, &["get", &id]).out.contains("2 of 2 ended"));
    let listed = json(&ask(&up, &["ls", "--state", "succeeded", "-o", "json"]));
    assert_eq!(listed["jobs"][0]["id"], *id);
    let agents = json(&ask(&up, &["agents", "-o", "json"]));
    assert_eq!(agents["agents"].as_array().unwrap().len(), 2);

    let all = ask(&up, &["logs", &id]).out;
    assert!(
        ["a | out\n", "a | err\n", "b | \u{1b}[1mone\n"].iter().all(|line| all.contains(line)),
        "{all}"
    );
    let of_a = ask(&up, &["logs", &id, "--task", "a"]);
    assert_eq!((of_a.out.as_str(), of_a.errors.as_str()), ("out\n", "err\n"));
    let of_b = |more: &[&str]| ask(&up, &[&["logs", &id, "--task", "b"], more].concat()).out;
    assert_eq!(of_b(&[]), "\u{1b}[1mone\n", "as it was written");
    assert_eq!(of_b(&["--plain"]), "one\n");
    let last = ask(&up, &["logs", &id, "--task", "a", "--tail", "1"]);
    assert_eq!(last.out.len() + last.errors.len(), "out\n".len(), "{last:?}");
    assert_eq!(ask(&up, &["logs", &id, "--tail", "1"]).out.lines().count(), 2, "one of each task");
    assert_eq!(ask(&up, &["logs", &id, "--tail", "0"]).code, 2);
    assert!(ask(&up, &["logs", &id, "--plain"]).out.contains("b | one\n"));
    up.stop();
}

#[test]
fn files_of_a_job_and_of_a_task_are_listed_and_written() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let submitted = ask(&up, &["submit", "-", "--watch", "-o", "json"]);
    let id = json(&submitted)["job"]["id"].as_str().unwrap().to_owned();
    let of_a = format!("{id}/a");

    let listed = ask(&up, &["workspace", "ls", &id]).out;
    let paths: Vec<_> = listed.lines().map(|line| line[17..].to_owned()).collect();
    assert_eq!(paths, ["d/", "d/f", "g", "link -> d/f"]);
    assert!(!ask(&up, &["workspace", "ls", &of_a]).out.contains(" g"));
    assert_eq!(ask(&up, &["workspace", "get", &id, "d/f"]).out, "one\n");

    let out = scratch.path().join("out");
    let written = ask(&up, &["workspace", "get", &of_a, "d", "--out", out.to_str().unwrap()]);
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(fs::read_to_string(out.join("f")).unwrap(), "one\n");
    let again = ask(&up, &["workspace", "get", &id, "--out", out.to_str().unwrap()]);
    assert_eq!((again.code, again.problems().len()), (2, 1), "{again:?}");
    assert_eq!(ask(&up, &["workspace", "get", &id, "nope"]).code, 4);
    up.stop();
}

#[test]
fn a_job_that_is_not_there_is_named() {
    let scratch = ScratchDirectory::create().unwrap();
    let up = up(&scratch.path().join("state"));
    let id = "0197b1c5-0000-7000-8000-000000000000";
    for command in [&["get", id][..], &["logs", id], &["cancel", id], &["workspace", "ls", id]] {
        let ended = ask(&up, command);
        assert_eq!((ended.code, ended.problems().len()), (4, 1), "{command:?}: {ended:?}");
        assert!(ended.problems()[0].contains(id), "{command:?}: {ended:?}");
    }
    up.stop();
}
