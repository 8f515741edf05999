//! From messages to plans: what the wire can carry and a plan cannot.
#![allow(clippy::unwrap_used)] // helpers of tests

use pbjson_types::{Duration, Struct, Value, value::Kind};
use postq_common::spec::{Limits, Problem, RetryPolicy, TaskSpec};
use postq_proto::{convert, v1};
use serde_json::json;

fn task(command: &str) -> v1::TaskSpec {
    v1::TaskSpec { command: command.to_owned(), ..v1::TaskSpec::default() }
}

fn job(tasks: impl IntoIterator<Item = (&'static str, v1::TaskSpec)>) -> v1::JobSpec {
    let tasks = tasks.into_iter().map(|(name, task)| (name.to_owned(), task)).collect();
    v1::JobSpec { tasks, ..v1::JobSpec::default() }
}

fn number(number: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(number)) }
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn problems(job: &v1::JobSpec) -> Vec<String> {
    let problems = convert::plan(job, &Limits::default()).unwrap_err();
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn problems_of_fields_and_of_the_graph_are_told_together() {
    let mut spec = job([
        ("a", v1::TaskSpec { run_if: 7, timeout: seconds(-1), ..task("x") }),
        ("b", v1::TaskSpec { depends: vec!["zz".to_owned()], workspace: 9, ..task("") }),
        (
            "c",
            v1::TaskSpec {
                handler: Some("h".to_owned()),
                arguments: Some(number(f64::NAN)),
                retry: Some(v1::RetryPolicy { max_attempts: -2, ..v1::RetryPolicy::default() }),
                ..v1::TaskSpec::default()
            },
        ),
    ]);
    spec.input = "abc".to_owned();
    spec.on_conflict = 5;
    let big = [("big".to_owned(), number(9_007_199_254_740_992.0))];
    spec.attributes = Some(Struct { fields: big.into_iter().collect() });
    assert_eq!(
        problems(&spec),
        [
            "input: is not a digest of a snapshot; it has 64 hexadecimal digits",
            "on_conflict: 5 is unknown; use FAIL or PREFER_LAST_DEPENDENCY",
            "attributes.big: is an integer that JSON cannot carry (beyond 2^53); write it as a string",
            "tasks.a.timeout: is negative; write zero seconds or more",
            "tasks.a.run_if: 7 is unknown; use SUCCEEDED, FAILED or FINISHED",
            "tasks.b.workspace: 9 is unknown; use DEFAULT, FILES or NONE",
            "tasks.c.arguments: is NaN, which is not a number in JSON; remove it",
            "tasks.c.retry.max_attempts: -2 is not a number of attempts; write 1 or more, or -1 for \
             no limit",
            "tasks.b.command: is empty; write a command, or set image or handler",
            "tasks.b.depends[0]: task \"b\" depends on \"zz\", which is not a task of this job",
        ]
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = convert::task_spec(&task("x")).unwrap();
    let wanted = TaskSpec { command: "x".to_owned(), ..TaskSpec::default() };
    assert_eq!(spec, wanted);
    assert_eq!(spec.retry, RetryPolicy::default());
    let retry = v1::RetryPolicy { backoff: seconds(5), ..v1::RetryPolicy::default() };
    let spec = convert::task_spec(&v1::TaskSpec { retry: Some(retry), ..task("x") }).unwrap();
    assert_eq!(spec.retry.backoff.as_secs(), 5);
    assert_eq!(spec.retry.max_backoff.as_secs(), 60);
}

#[test]
fn a_digest_of_64_digits_is_an_input() {
    let digits = "0123456789abcdef".repeat(4);
    let spec = v1::JobSpec { input: digits.clone(), ..job([("a", task("x"))]) };
    let plan = convert::plan(&spec, &Limits::default()).unwrap();
    assert_eq!(plan.input().unwrap().to_string(), digits);
}

#[test]
fn null_arguments_are_none() {
    let null = Some(Value { kind: Some(Kind::NullValue(0)) });
    let spec = convert::task_spec(&v1::TaskSpec { arguments: null, ..task("x") }).unwrap();
    assert_eq!(spec.arguments, None);
}

#[test]
fn a_document_over_the_limit_is_refused() {
    let limits = Limits { document_bytes: 10, ..Limits::default() };
    let problems = convert::plan(&job([("a", task("a long command"))]), &limits).unwrap_err();
    assert!(problems[0].message.contains("it may have 10"), "{problems:?}");
}

#[test]
fn free_json_survives_the_wire() {
    let value =
        json!({"a": [1, -2.5, "x", null, true, {"b": {}}], "big": 9_007_199_254_740_991_i64});
    assert_eq!(convert::json_from_value(&convert::value_from_json(&value)), value);
}
