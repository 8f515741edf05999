//! Bad input is refused in one line per problem, with the right exit code.

use std::fs;

use crate::command::run;

/// A document, and what its one line must name.
const DOCUMENTS: [(&str, &[&str]); 12] = [
    ("tasks: {}", &["tasks"]),
    ("", &["standard input"]),
    ("tasks: [a", &["line 1"]),
    ("tasks: {a: {command: x, dependz: [b]}}", &["dependz"]),
    ("tasks: {a: {command: x, depends: [zz]}}", &["tasks.a.depends", "zz"]),
    ("tasks: {a: {command: x, depends: [a]}}", &["a"]),
    (
        "tasks: {a: {command: x, depends: [b]}, b: {command: x, depends: [c]}, \
         c: {command: x, depends: [a]}}",
        &["wait for each other", "a -> c -> b -> a"],
    ),
    ("tasks: {a: {command: x}, a: {command: y}}", &["\"a\"", "twice"]),
    ("{\"tasks\": {\"a\": {\"command\": \"x\"}, \"a\": {\"command\": \"y\"}}}", &["twice"]),
    ("tasks: {\"\": {command: x}}", &["name"]),
    ("tasks: {a: {command: x, timeout: soon}}", &["tasks.a.timeout", "duration"]),
    ("tasks: {a: {image: \"\", command: x}}", &["tasks.a.image"]),
];

#[test]
fn a_faulty_document_is_one_line_that_names_the_fault() {
    for (document, wanted) in DOCUMENTS {
        let ended = run(&["dag", "-"], document);
        assert_eq!(ended.code, 2, "{document}: {ended:?}");
        let problems = ended.problems();
        assert_eq!(problems.len(), 1, "{document}: {problems:?}");
        for word in wanted {
            assert!(problems[0].contains(word), "{document}: {} lacks {word}", problems[0]);
        }
    }
}

#[test]
fn every_problem_of_a_document_is_a_line() {
    let document = "tasks: {a: {command: x, depends: [p]}, b: {command: x, depends: [q]}}";
    let ended = run(&["submit", "-"], document);
    assert_eq!((ended.code, ended.problems().len()), (2, 2), "{ended:?}");
}

#[test]
fn run_refuses_a_faulty_document_before_it_starts_anything() {
    let ended = run(&["run", "-"], "tasks: {a: {command: x, depends: [zz]}}");
    assert_eq!((ended.code, ended.problems().len()), (2, 1), "{ended:?}");
}

#[test]
fn run_refuses_to_write_into_a_directory_in_use() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine"), "").unwrap();
    let out = directory.path().to_str().unwrap();
    let ended = run(&["run", "-", "--out", out], "tasks: {a: {command: x}}");
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.problems()[0].contains("not empty"));
    assert!(directory.path().join("mine").exists());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ended = run(&["dag", "/nowhere/job.yaml"], "");
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.problems()[0].contains("/nowhere/job.yaml"));
}

#[test]
fn a_coordinator_that_does_not_answer_is_named_with_what_to_do() {
    for command in [
        &["ls"][..],
        &["get", "0197b1c5-0000-7000-8000-000000000000"],
        &["logs", "0197b1c5-0000-7000-8000-000000000000"],
        &["cancel", "0197b1c5-0000-7000-8000-000000000000"],
        &["agents"],
        &["submit", "-"],
    ] {
        let mut arguments = command.to_vec();
        // Nothing listens on the first port.
        arguments.extend(["--coordinator", "http://127.0.0.1:1"]);
        let ended = run(&arguments, "tasks: {a: {command: x}}");
        assert_eq!(ended.code, 3, "{command:?}: {ended:?}");
        let problems = ended.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("http://127.0.0.1:1"), "{problems:?}");
        assert!(problems[0].contains("postq up"), "{problems:?}");
    }
}

#[test]
fn a_database_that_does_not_answer_is_told() {
    let ended = run(&["migrate", "--database-url", "postgres://127.0.0.1:1/none"], "");
    assert_eq!((ended.code, ended.problems().len()), (3, 1), "{ended:?}");
}

#[test]
fn nonsense_on_the_command_line_is_refused() {
    for arguments in [
        &["frobnicate"][..],
        &["ls", "--state", "done"],
        &["ls", "--coordinator", "ftp://x"],
        &["migrate", "--database-url", "nowhere"],
        &["dag", "--dot", "--mermaid", "-"],
        &["retry", "--queue", "q", "--rate", "0"],
        &["dead-letters", "redrive", "--queue", "q", "--rate", "-1"],
    ] {
        assert_eq!(run(arguments, "").code, 2, "{arguments:?}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let secret = "s3cret-token";
    let help =
        crate::command::clean().args(["ls", "--help"]).env("POSTQ_TOKEN", secret).output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains(secret));
}
