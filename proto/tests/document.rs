//! What documents may look like, and what is said about those that may not.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::time::Duration;

use postq_common::spec::{Executor, Limits, MaxAttempts, RunIf, WorkspaceUse};
use postq_proto::{convert, document, v1};
use serde_json::{Value, json};

const SAMPLE: &str = r#"
name: wordcount
queue: default
attributes: {team: data, tries: 3, share: 0.5, nested: {list: [1, null, true]}}
env: {LANG: C.UTF-8}
on_conflict: PREFER_LAST_DEPENDENCY
tasks:
  fetch: {command: "cp -r $SRC ./in"}
  count: {depends: [fetch], image: "debian:bookworm-slim", command: "wc -w in/* > counts", timeout: 60s,
          retry: {max_attempts: 4, backoff: 1s, max_backoff: 60s}}
  mail:  {depends: [count], handler: send_mail, arguments: {to: "ops"}}
  tidy:
    depends: [count]
    run_if: FINISHED
    grace: 0.5s
    workspace: NONE
    command: |
      rm -rf in
"#;

fn sample() -> v1::JobSpec {
    document::parse_job(SAMPLE).unwrap()
}

fn refused(text: &str) -> String {
    document::parse_job(text).unwrap_err().to_string()
}

#[test]
fn the_sample_reads_as_it_looks() {
    let plan = convert::plan(&sample(), &Limits::default()).unwrap();
    assert_eq!(plan.name(), "wordcount");
    let wanted =
        json!({"team": "data", "tries": 3, "share": 0.5, "nested": {"list": [1, null, true]}});
    assert_eq!(Value::Object(plan.attributes().clone()), wanted);
    let task = |name| plan.task(name).unwrap();
    assert_eq!(task("fetch").executor(), Executor::Shell);
    let count = task("count").spec();
    assert_eq!(count.timeout, Some(Duration::from_secs(60)));
    assert_eq!(count.retry.max_attempts, MaxAttempts::try_from(4).unwrap());
    assert_eq!(count.image.as_deref(), Some("debian:bookworm-slim"));
    assert_eq!(task("mail").workspace_use(), WorkspaceUse::None);
    assert_eq!(task("mail").spec().arguments, Some(json!({"to": "ops"})));
    let tidy = task("tidy").spec();
    assert_eq!((tidy.run_if, tidy.grace), (RunIf::Finished, Duration::from_millis(500)));
    assert_eq!(tidy.command, "rm -rf in\n");
    assert_eq!(tidy.workspace, Some(WorkspaceUse::None));
}

#[test]
fn json_text_reads_like_yaml_and_writes_back_the_same() {
    let json = document::job_to_json(&sample()).unwrap();
    assert_eq!(json["tasks"]["count"]["retry"]["max_attempts"], json!(4));
    assert_eq!(json["tasks"]["count"]["timeout"], json!("60s"));
    assert_eq!(json["tasks"]["tidy"]["run_if"], json!("FINISHED"));
    // An integer stays one, though the wire carries a double.
    assert_eq!(json["attributes"]["tries"].to_string(), "3");
    for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
        assert_eq!(document::parse_job(&text).unwrap(), sample());
    }
    assert_eq!(document::job_from_json(&json).unwrap(), sample());
    let count = &json["tasks"]["count"];
    let task = document::task_from_json(count).unwrap();
    assert_eq!(task, sample().tasks["count"]);
    assert_eq!(&document::task_to_json(&task).unwrap(), count);
}

#[test]
fn both_spellings_of_a_field_are_read() {
    let text =
        r#"{"tasks": {"a": {"command": "x", "runIf": "FAILED", "retry": {"maxAttempts": -1}}}}"#;
    let task = &document::parse_job(text).unwrap().tasks["a"];
    assert_eq!(task.run_if(), v1::task_spec::RunIf::Failed);
    assert_eq!(task.retry.as_ref().unwrap().max_attempts, -1);
}

#[test]
fn escapes_of_json_text_are_read() {
    let text = "{\"tasks\":\t{\"a\": {\"command\": \"\\u00e9\\ud83d\\ude00 \\/ \\\\ \\\" \\t\"}}}";
    let wanted = "\u{e9}\u{1f600} / \\ \" \t";
    assert_eq!(document::parse_job(text).unwrap().tasks["a"].command, wanted);
}

#[test]
fn words_that_other_yaml_takes_for_booleans_are_words() {
    let text = "tasks: {on: {command: yes}, y: {command: no}}";
    let job = document::parse_job(text).unwrap();
    assert_eq!(job.tasks["on"].command, "yes");
    assert_eq!(job.tasks["y"].command, "no");
}

#[test]
fn anchors_and_merge_keys_save_repetition() {
    let text = "tasks:\n  a: &base {image: busybox, command: x}\n  b: {<<: *base, command: y}\n";
    let job = document::parse_job(text).unwrap();
    assert_eq!(job.tasks["b"].image.as_deref(), Some("busybox"));
    assert_eq!(job.tasks["b"].command, "y");
}

#[test]
fn each_bad_shape_is_told_with_its_place_and_field_in_one_line() {
    let table = [
        ("tasks:\n  a: {comand: x}\n", "line 2, column 7: tasks.a.comand: unknown field"),
        (
            "tasks:\n  a: {command: x}\n  a: {command: y}\n",
            "line 3, column 3: tasks: has the name \"a\" twice; rename or remove one",
        ),
        (r#"{"tasks": {"a": {"command": "x"}, "a": {"command": "y"}}}"#, "the name \"a\" twice"),
        (r#"{"name": "x", "name": "y"}"#, "the name \"name\" twice"),
        ("tasks: {a: {command: x, timeout: 60}}", "tasks.a.timeout: is not a duration; write"),
        ("tasks: {a: {command: x, timeout: 5m}}", "tasks.a.timeout: is not a duration; write"),
        ("tasks: {a: {command: x, retry: {backoff: 1ms}}}", "retry.backoff: is not a duration"),
        ("tasks: {a: {command: x, depends: b}}", "tasks.a.depends: is not a list"),
        ("tasks: {a: {command: x, depends: [b, 5]}}", "tasks.a.depends[1]"),
        ("tasks: {a: {command: 5}}", "tasks.a.command"),
        (
            "tasks: {a: {command: x, env: {PORT: 8080}}}",
            "tasks.a.env.PORT: must be text; write \"8080\"",
        ),
        ("tasks: {a: {command: x, run_if: SOMETIMES}}", "tasks.a.run_if"),
        ("tasks: {a: {handler: h, arguments: [9007199254740993]}}", "tasks.a.arguments[0]: is an"),
        ("attributes: {big: -9007199254740993}", "attributes.big: is an integer"),
        ("attributes: {big: .inf}", "attributes.big"),
        ("tasks: [a]", "tasks"),
        ("priority: 1.5", "priority: is not a whole number"),
        ("priority: 99999999999", "priority: is not a whole number"),
        ("tasks: {a: {command: x}", "line 1"),
        ("name: x\n---\nname: y\n", "line 3, column 1: a second document begins here"),
    ];
    for (text, wanted) in table {
        let told = refused(text);
        assert!(told.contains(wanted), "{text:?} -> {told:?}");
        assert!(!told.contains('\n'), "{told:?}");
    }
}

#[test]
fn json_that_was_parsed_already_is_refused_with_its_field() {
    let value = json!({"tasks": {"a": {"command": "x", "retry": {"max_attempts": "many"}}}});
    let error = document::job_from_json(&value).unwrap_err();
    assert_eq!(error.path, "tasks.a.retry.max_attempts");
    let value = json!({"tasks": {"a": {"command": "x", "retries": 1}}});
    assert_eq!(document::job_from_json(&value).unwrap_err().path, "tasks.a.retries");
}

#[test]
fn the_earlier_form_is_converted_and_the_present_one_is_left_alone() {
    let earlier = "tasks: {a: {command: 'echo Hey!', params: {image: 'debian', env: {A: b}}},\n\
                   b: {depends: [a], command: c}}\nqname: playq\ndata: {n: 1}";
    let text = document::from_earlier_form(earlier).unwrap();
    let job = document::parse_job(&text).unwrap();
    assert_eq!(job.queue, "playq");
    assert_eq!(job.tasks["a"].image.as_deref(), Some("debian"));
    assert_eq!(job.tasks["a"].env["A"], "b");
    assert_eq!(job.tasks["b"].depends, ["a"]);
    assert!(job.attributes.unwrap().fields.contains_key("n"));
    assert_eq!(document::from_earlier_form(SAMPLE).unwrap(), SAMPLE);
    let named = "tasks: {params: {command: x}}";
    assert_eq!(document::from_earlier_form(named).unwrap(), named);
}

#[test]
fn what_the_earlier_form_cannot_say_is_refused() {
    let told = |text| document::from_earlier_form(text).unwrap_err().to_string();
    let both = told("tasks: {a: {command: x, image: i, params: {image: j}}}");
    assert_eq!(both, "tasks.a.params.image: says the same as image; remove one of them");
    let unknown = told("tasks: {a: {command: x, params: {volume: j}}}");
    assert_eq!(unknown, "tasks.a.params.volume: is unknown; params may have image and env");
}

#[test]
fn a_large_document_is_read() {
    let tasks: String = (0..100_000)
        .map(|n| format!("  t{n}: {{command: \"echo {n}\", env: {{N: x}}}}\n"))
        .collect();
    let job = document::parse_job(&format!("tasks:\n{tasks}")).unwrap();
    assert_eq!(job.tasks.len(), 100_000);
}
