//! Job documents that no door may let in, each with one mistake or several, and some that every
//! door lets in.

use serde_json::{Map, Value, json};

use crate::bad_patterns;

/// A document whose only task is this.
pub(crate) fn with_task(task: Value) -> Value {
    json!({"tasks": {"a": task}})
}

/// A good document with one more field.
pub(crate) fn with_field(field: &str, value: Value) -> Value {
    let mut document = json!({"tasks": {"a": {"command": "true"}}});
    document[field] = value;
    document
}

/// A good task with one more field.
pub(crate) fn with_task_field(field: &str, value: Value) -> Value {
    let mut document = with_task(json!({"command": "true"}));
    document["tasks"]["a"][field] = value;
    document
}

/// A good task with a retry policy of one field.
fn with_retry(field: &str, value: Value) -> Value {
    with_task_field("retry", json!({field: value}))
}

/// A good document whose only task has this name.
fn named(name: &str) -> Value {
    json!({"tasks": {name: {"command": "true"}}})
}

/// Tasks that wait for each other so.
fn graph(tasks: &[(&str, &[&str])]) -> Value {
    let task = |(name, depends): &(&str, &[&str])| {
        ((*name).to_owned(), json!({"command": "true", "depends": depends}))
    };
    json!({"tasks": tasks.iter().map(task).collect::<Map<_, _>>()})
}

/// A ring of so many tasks.
fn ring(size: usize) -> Value {
    let task = |n: usize| {
        let before = format!("t{:03}", (n + 1) % size);
        (format!("t{n:03}"), json!({"command": "true", "depends": [before]}))
    };
    json!({"tasks": (0..size).map(task).collect::<Map<_, _>>()})
}

/// Values that are of no kind that a text field takes.
fn no_texts() -> [Value; 6] {
    [json!(5), json!(1.5), json!(true), json!(null), json!([]), json!({})]
}

/// Every document that must be refused.
pub(crate) fn bad() -> Vec<Value> {
    [
        shapes(),
        free_json(),
        durations(),
        fields(),
        variables(),
        timing(),
        sharing(),
        retries(),
        extras(),
        needs(),
        bad_patterns::files(),
        graphs(),
        several(),
    ]
    .concat()
}

/// Values of another kind than their fields take, and unknown fields.
fn shapes() -> Vec<Value> {
    let mut all = vec![json!(5), json!([]), json!(null), json!("x"), json!(true), json!({})];
    for field in ["name", "queue", "input"] {
        all.extend(no_texts().map(|value| with_field(field, value)));
    }
    all.extend(no_texts().map(|value| with_task_field("command", value)));
    for field in ["image", "handler"] {
        let some = no_texts().into_iter().filter(|value| !value.is_null());
        all.extend(some.map(|value| with_task_field(field, value)));
    }
    all.extend(no_texts().map(|value| with_field("env", json!({"A": value}))));
    all.extend(no_texts().map(|value| with_task_field("env", json!({"A": value}))));
    all.extend(no_texts().map(|value| with_task_field("depends", json!([value]))));
    for value in [json!(5), json!("x"), json!([]), json!(true)] {
        all.extend([
            with_field("env", value.clone()),
            with_field("attributes", value.clone()),
            with_task_field("env", value.clone()),
            with_task_field("retry", value.clone()),
            with_task(value.clone()),
            json!({"tasks": value}),
        ]);
    }
    for value in [json!(5), json!("b"), json!({}), json!(null), json!(false)] {
        all.push(with_task_field("depends", value));
    }
    for value in [json!("x"), json!(1.5), json!(3_000_000_000_u32), json!(true), json!([])] {
        all.extend([with_field("priority", value.clone()), with_retry("max_attempts", value)]);
    }
    for value in ["3000000000", " 5", "", "-", "5.0"] {
        all.push(with_field("priority", json!(value)));
    }
    for value in [json!("NEVER"), json!("failed"), json!(""), json!(9), json!(-1), json!(1.5)] {
        all.extend([
            with_task_field("run_if", value.clone()),
            with_task_field("workspace", value.clone()),
            with_field("on_conflict", value),
        ]);
    }
    all.extend([json!(true), json!(null), json!([])].map(|value| with_task_field("runIf", value)));
    for field in ["tsks", "Name", "on-conflict", "timeout"] {
        all.push(with_field(field, json!("x")));
    }
    for field in ["comand", "max_attempts", "depend", "priority"] {
        all.extend([
            with_task_field(field, json!("x")),
            with_retry(&format!("{field}_"), json!(1)),
        ]);
    }
    all.extend([
        with_task(json!({"command": "true", "run_if": "FAILED", "runIf": "FAILED"})),
        with_task_field("retry", json!({"max_backoff": "1s", "maxBackoff": "1s"})),
        with_field("onConflict", json!("NEVER")),
        json!({"tasks": {"a": null}}),
        json!({"tasks": null}),
    ]);
    all
}

/// Free JSON that is not exact or too large.
fn free_json() -> Vec<Value> {
    let mut all = Vec::new();
    for number in
        [json!(9_007_199_254_740_992_u64), json!(-9_007_199_254_740_993_i64), json!(1e300)]
    {
        all.extend([
            with_field("attributes", json!({"a": number})),
            with_field("attributes", json!({"a": [0, {"b": number}]})),
            with_task(json!({"handler": "h", "arguments": number})),
            with_task(json!({"handler": "h", "arguments": {"a": [number]}})),
        ]);
    }
    let (long, many) = ("x".repeat(1 << 20), Value::from(vec![0; 200_000]));
    all.extend([
        with_field("attributes", json!({"a": long})),
        with_field("attributes", json!({"a": many})),
    ]);
    let (long, many) = ("x".repeat(2 << 20), Value::from(vec![0; 300_000]));
    all.extend([
        with_task(json!({"handler": "h", "arguments": long})),
        with_task(json!({"handler": "h", "arguments": {"a": many, "b": null, "c": [true, "é"]}})),
    ]);
    all
}

fn durations() -> Vec<Value> {
    let mut all = Vec::new();
    for text in ["5", "5m", "s", "", "x", ".5s", "1.s", "1.0000000001s", "1e3s", "5 s", "5S"] {
        all.push(with_task_field("timeout", json!(text)));
    }
    for field in ["timeout", "grace"] {
        for value in [json!(5), json!("-1s"), json!("-0.5s"), json!("316224001s"), json!({})] {
            all.push(with_task_field(field, value));
        }
    }
    for field in ["backoff", "max_backoff", "maxBackoff"] {
        for value in [json!("1"), json!("-3s"), json!("99999999999s"), json!(7)] {
            all.push(with_retry(field, value));
        }
    }
    all.extend([json!("0s"), json!("0.000s")].map(|zero| with_task_field("timeout", zero)));
    all
}

/// Fields of the right kind with a value that makes no sense.
fn fields() -> Vec<Value> {
    let long = "n".repeat(256);
    let mut all = Vec::new();
    for name in ["", "a/b", ".", "..", "a\tb", "a\u{7f}b", "a\u{85}b", &long, &"é".repeat(128)] {
        all.push(named(name));
    }
    for field in ["name", "queue"] {
        all.extend([long.as_str(), "a\nb"].map(|text| with_field(field, json!(text))));
    }
    all.extend([-1001, 1001, i32::MAX, i32::MIN].map(|n| with_field("priority", json!(n))));
    all.push(with_field("priority", json!("1001")));
    all.extend([-2, -100].map(|n| with_retry("max_attempts", json!(n))));
    for input in ["abc", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
        all.push(with_field("input", json!(input)));
    }
    for image in ["", "a b", "a\nb", " ", "a\u{a0}b", "a\u{2003}", &"i".repeat(4097)] {
        all.push(with_task(json!({"image": image})));
    }
    for handler in ["", "a\tb", &long] {
        all.push(with_task(json!({"handler": handler})));
    }
    all.extend([
        with_task(json!({})),
        with_task(json!({"command": ""})),
        with_task(json!({"depends": []})),
        with_task(json!({"image": "i", "handler": "h"})),
        with_task(json!({"image": "", "handler": ""})),
        with_task(json!({"handler": "h", "command": "true"})),
        with_task(json!({"command": "true", "arguments": {"a": 1}})),
        with_task(json!({"image": "i", "arguments": false})),
        with_task(json!({"command": "c".repeat(131_072)})),
        with_task(json!({"handler": null, "image": null})),
    ]);
    all
}

fn variables() -> Vec<Value> {
    let mut all = Vec::new();
    let many: Map<String, Value> =
        (0..9).map(|n| (format!("V{n}"), json!("v".repeat(120_000)))).collect();
    let half: Map<String, Value> =
        (0..5).map(|n| (format!("V{n}"), json!("v".repeat(120_000)))).collect();
    for env in [
        json!({"": "x"}),
        json!({"A=B": "x"}),
        json!({"A\tB": "x"}),
        json!({"n".repeat(256): "x"}),
        json!({"A": "v".repeat(131_072)}),
        json!({"=": "", "": "", "B": "b"}),
        Value::from(many),
    ] {
        all.extend([with_field("env", env.clone()), with_task_field("env", env)]);
    }
    let task = json!({"command": "true", "env": half});
    all.push(json!({"env": half, "tasks": {"a": task, "b": {"command": "true"}}}));
    all
}

/// When a job begins, and when it must have ended.
fn timing() -> Vec<Value> {
    let mut all = Vec::new();
    for time in [
        json!("tomorrow"),
        json!("2030-01-31"),
        json!("2030-01-31T12:00:00"),
        json!("2030-02-30T12:00:00Z"),
        json!("2030-13-01T12:00:00Z"),
        json!("2030-01-31T24:00:00Z"),
        json!(1_900_000_000),
        json!({}),
    ] {
        all.extend([with_field("run_at", time.clone()), with_field("runAt", time)]);
    }
    for field in ["delay", "expires_after", "expiresAfter"] {
        for value in [json!(5), json!("5m"), json!("-1s"), json!("316224001s")] {
            all.push(with_field(field, value));
        }
    }
    for value in [json!("0s"), json!("-1s"), json!("316224001s"), json!(5)] {
        all.extend([with_field("timeout", value.clone()), with_field("expires_after", value)]);
    }
    let mut both = with_field("delay", json!("1s"));
    both["run_at"] = json!("2030-01-31T12:00:00Z");
    all.push(both);
    all
}

/// What jobs and tasks share with others.
fn sharing() -> Vec<Value> {
    let long = "k".repeat(256);
    let mut all = vec![
        with_field("queue", json!("dlq@default")),
        with_field("data", json!({"a": 9_007_199_254_740_992_u64})),
        with_field("data", json!("d".repeat(1 << 20))),
        with_field("notify", json!("yes")),
        with_field("unique", json!("k")),
        with_field("unique", json!({})),
        with_field("unique", json!({"key": "k", "scope": "HOST"})),
        with_field("unique", json!({"key": "k", "existing": 2})),
        with_field("unique", json!({"key": "k", "window": "1s"})),
        with_field("after", json!([])),
        with_field("after", json!({})),
        with_field("after", json!({"jobs": []})),
        with_field("after", json!({"jobs": ["x", "01890f3e-0000-7000-8000-000000000000", ""]})),
        with_field("after", json!({"jobs": vec!["x"; 101]})),
        with_field("after", json!({"jobs": ["x"], "run_if": "NEVER"})),
    ];
    for key in ["", "a\nb", &long] {
        all.extend([
            with_field("unique", json!({"key": key})),
            with_task_field("concurrency", json!({"key": key, "limit": 1})),
            with_task_field("rate", json!({"key": key, "limit": 1, "period": "1s"})),
        ]);
    }
    for period in ["0s", "-1s", "x", "316224001s"] {
        all.extend([
            with_field("unique", json!({"key": "k", "period": period})),
            with_task_field("rate", json!({"key": "k", "limit": 1, "period": period})),
        ]);
    }
    for limit in [json!(0), json!(-1), json!(1.5), json!("x")] {
        all.extend([
            with_task_field("concurrency", json!({"key": "k", "limit": limit})),
            with_task_field("rate", json!({"key": "k", "limit": limit, "period": "1s"})),
        ]);
    }
    all.extend([
        with_task_field("concurrency", json!({"key": "k"})),
        with_task_field("concurrency", json!({"limit": 1})),
        with_task_field("concurrency", json!("k")),
        with_task_field("rate", json!({})),
        with_task_field("rate", json!({"key": "k", "limit": 1})),
        with_task_field("delivery", json!("ONCE")),
        with_task_field("crash_limit", json!(-1)),
        with_task_field("crashLimit", json!(1001)),
        with_task_field("priority", json!(-1001)),
        with_task_field("priority", json!(1.5)),
    ]);
    all
}

/// Policies of retries beyond the simple ones.
fn retries() -> Vec<Value> {
    let mut all = Vec::new();
    for value in [json!(0.5), json!(100.5), json!("x"), json!(true), json!([])] {
        all.push(with_retry("factor", value));
    }
    for value in [json!(-0.1), json!(1.1), json!("x"), json!({})] {
        all.push(with_retry("jitter", value));
    }
    for value in [json!("-1s"), json!("316224001s"), json!(5)] {
        all.extend([
            with_retry("increment", value.clone()),
            with_retry("delays", json!(["1s", value, "2s", value])),
        ]);
    }
    for value in [json!("1s"), json!({}), json!(5)] {
        all.push(with_retry("delays", value));
    }
    all.extend([
        with_retry("delays", json!(vec!["1s"; 101])),
        with_retry("outcomes", json!(["LOST"])),
        with_retry("outcomes", json!("FAILED")),
        with_retry("exit_codes", json!([0, 1, 256, -1])),
        with_retry("exitCodes", json!(["x"])),
        with_task_field(
            "retry",
            json!({"factor": 0, "jitter": 2, "increment": "-1s", "delays": ["-1s", "-2s"], "exit_codes": [999], "max_attempts": -5}),
        ),
    ]);
    all
}

/// Containers and secrets.
fn extras() -> Vec<Value> {
    let container =
        |field: &str, value: Value| with_task(json!({"image": "i", "container": {field: value}}));
    let secret =
        |name: &str, reference: Value| with_task_field("secrets", json!({name: reference}));
    let long = "m".repeat(4096);
    let many: Map<String, Value> = (0..101).map(|n| (format!("S{n}"), json!("s"))).collect();
    let mut all = vec![
        with_task_field("container", json!({})),
        with_task(json!({"handler": "h", "container": {"user": "a b"}})),
        with_task(json!({"handler": "h", "secrets": {"A": "a"}})),
        with_task(json!({"image": "i", "container": "x"})),
        container("usr", json!("x")),
        container("init", json!("yes")),
        container("pull", json!("SOMETIMES")),
        container("entrypoint", json!("sh")),
        container("entrypoint", json!(["", ""])),
        container("entrypoint", json!(["x".repeat(131_071)])),
        container("mounts", json!(["/a:/b", "a:/b", "/a:/postq", format!("/{long}:/b")])),
        container("mounts", json!(vec!["/a:/b"; 101])),
        container("mounts", json!(vec!["b"; 12])),
        with_task_field("secrets", json!(many)),
        with_task_field("secrets", json!({"": "", "A=B": "../x", "Z": "s", "é\t": "file:/x"})),
        with_task_field("secrets", json!(["A"])),
        with_task_field("secrets", json!({"A": 5})),
        secret(&"n".repeat(256), json!(long)),
    ];
    for user in ["a b", ":1", "1:", "1:2:3", "-x", &"u".repeat(256)] {
        all.push(container("user", json!(user)));
    }
    for network in ["container:x", "a b", "-x", &"n".repeat(256)] {
        all.push(container("network", json!(network)));
    }
    for platform in ["linux/", "Linux/amd64", "a/b/c/d", "linux amd64"] {
        all.push(container("platform", json!(platform)));
    }
    for gpus in ["0", "-1", "1000", "any", "1.5"] {
        all.push(container("gpus", json!(gpus)));
    }
    for mount in [
        "",
        "/a",
        "/a:b",
        "/a:/b:rx",
        "/a/..:/b",
        "/a:/.",
        "/a:/",
        "/a://workspace/",
        "/a\n:/b",
        "/a:/b:ro:",
    ] {
        all.push(container("mounts", json!([mount])));
    }
    for reference in [
        "",
        "env:",
        "env:1",
        "env:A-B",
        "file:",
        "file:/a",
        "file:a/../b",
        "file:a//b",
        "vault:x",
        "a/b",
        ".x",
        &"r".repeat(256),
        &long,
    ] {
        all.push(secret("A", json!(reference)));
    }
    all
}

/// Resources and rules about labels.
fn needs() -> Vec<Value> {
    let resource = |name: &str, amount: Value| with_task_field("resources", json!({name: amount}));
    let rule = |rule: Value| with_task_field("requires", json!([rule]));
    let many: Map<String, Value> = (0..33).map(|n| (format!("r{n}"), json!(1))).collect();
    let mut all = vec![
        with_task_field("resources", json!(["cpus"])),
        with_task_field("resources", json!(null)),
        with_task_field("resources", json!(many)),
        with_task_field(
            "resources",
            json!({"": 1, "cpus": "x", "memory": "big", "gpus": 0.5, "a\n": -1}),
        ),
        resource(&"n".repeat(256), json!(1)),
        resource(&"n".repeat(90), json!(1.5)),
        with_task_field("requires", json!({"label": "a", "in": ["b"]})),
        with_task_field("requires", json!(["a"])),
        with_task_field("requires", json!(vec![json!({"label": "a", "exists": true}); 33])),
        with_task_field("requires", json!([{"label": "a", "exists": true}, {"lable": "a"}, 7])),
        rule(json!({})),
        rule(json!({"label": "a"})),
        rule(json!({"label": 5, "exists": true})),
        rule(json!({"label": "", "in": ["x"]})),
        rule(json!({"label": "a\tb", "in": ["x\ny", "z".repeat(256)]})),
        rule(json!({"label": "n".repeat(256), "not_in": ["x\r"]})),
        rule(json!({"label": "a", "in": ["x"], "not_in": ["y"]})),
        rule(json!({"label": "a", "in": ["x"], "notIn": ["y"], "exists": true})),
        rule(json!({"label": "a", "in": "x"})),
        rule(json!({"label": "a", "in": [1]})),
        rule(json!({"label": "a", "in": vec!["x"; 101]})),
        rule(json!({"label": "a", "exists": "yes"})),
        rule(json!({"label": "a", "exist": true})),
        rule(json!({"label": "a", "not_in": ["x"], "notIn": ["y"]})),
    ];
    for cpus in
        [json!("2"), json!(0), json!(-1), json!(1.0001), json!(10_001), json!(true), json!(null)]
    {
        all.push(resource("cpus", cpus));
    }
    for memory in [
        "",
        "0",
        "1 GiB",
        "1.GiB",
        ".5GiB",
        "9000TiB",
        "1.2345GB",
        "-1",
        "1e3",
        "5gb",
        "1234567890123456B",
    ] {
        all.push(resource("memory", json!(memory)));
    }
    for memory in
        [json!(0), json!(-5), json!(1.5), json!([]), json!({}), json!(9_007_199_254_740_993_u64)]
    {
        all.push(resource("memory", memory));
    }
    for gpus in
        [json!(0), json!(1.5), json!("1"), json!(1_000_000_001), json!({"a100": 1}), json!(null)]
    {
        all.push(resource("gpus", gpus));
    }
    all
}

/// Tasks that cannot be put in an order.
fn graphs() -> Vec<Value> {
    let mut all = vec![
        graph(&[("a", &["zz"])]),
        graph(&[("a", &["a"])]),
        graph(&[("a", &[]), ("b", &["zz"]), ("c", &["yy", "a"])]),
        graph(&[("a", &["b"]), ("b", &["a"])]),
        graph(&[("a", &[]), ("b", &["a", "a"])]),
        graph(&[("a", &[]), ("b", &["a", "zz", "a", "zz", "b", "a", "b"])]),
        graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]),
        graph(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"]), ("d", &["c", "e"]), ("e", &["d"])]),
        graph(&[("b", &["a", "d"]), ("a", &["c"]), ("c", &["b"]), ("d", &["a", "b"])]),
        graph(&[
            ("r", &[]),
            ("x", &["r", "y"]),
            ("y", &["x"]),
            ("s", &["y"]),
            ("t", &["s", "u"]),
            ("u", &["t"]),
        ]),
        graph(&[("a", &["b", "c", "d"]), ("b", &["c"]), ("c", &["d"]), ("d", &["a", "b"])]),
        graph(&[("a", &["b", "zz"]), ("b", &["a", "b"]), ("c", &["c", "a"])]),
        graph(&[("B", &["a"]), ("a", &["B"]), ("é", &["a", "ü"]), ("ü", &["é"])]),
        graph(&[("a", &[""])]),
        graph(&[("a", &["A", " a", "a "])]),
    ];
    all.extend([2, 12, 13, 14, 200].map(ring));
    all
}

/// Several mistakes at once: all of them are told.
fn several() -> Vec<Value> {
    let unknown: Vec<String> = (0..150).map(|n| format!("zz{n:03}")).collect();
    let faulty = |n: usize| (format!("t{n}"), json!({"command": "", "timeout": "0s"}));
    vec![
        json!({"name": "a\nb", "queue": "a\nb", "priority": 5000, "env": {"": ""}, "tasks": {}}),
        json!({"input": "x", "attributes": {"a": 1e16}, "tasks": {"b": {"timeout": "-1s"}, "a": {"retry": {"max_attempts": -9, "backoff": "-1s"}, "grace": "-1s", "image": "a b"}}}),
        json!({"tasks": {"a/b": {"depends": ["a/b"]}, "": {"depends": ["", "a/b"]}, "c": {"depends": ["d"]}, "d": {"depends": ["c"], "env": {"a=": "x"}}}}),
        json!({"tasks": {"a": {"depends": unknown}}}),
        json!({"tasks": (0..60).map(faulty).collect::<Map<_, _>>()}),
        json!({"tasks": {"x\ny": {"command": "true", "depends": ["p\tq", "w".repeat(100)]}, "w".repeat(90): {"command": ""}}}),
    ]
}

/// Documents that every door lets in.
pub(crate) fn good() -> Vec<Value> {
    let digest = "0a".repeat(32);
    vec![
        json!({"tasks": {"a": {"command": "true"}}}),
        json!({"name": "", "queue": "", "env": {}, "attributes": {}, "priority": 0, "input": "", "on_conflict": "FAIL", "tasks": {"a": {"command": "true", "depends": [], "env": {}, "run_if": "SUCCEEDED", "workspace": "DEFAULT"}}}),
        json!({"name": "n".repeat(255), "queue": "q q", "priority": "-1000", "input": digest, "onConflict": 1, "tasks": {"a": {"command": "true"}}}),
        json!({"input": digest.to_uppercase(), "attributes": {"a": [1, -2.5, {"b": null}], "n": 9_007_199_254_740_991_u64}, "tasks": {"a": {"command": "true"}}}),
        json!({"attributes": null, "tasks": {"a": {"command": "true", "image": null, "handler": null, "arguments": null, "timeout": null, "grace": null, "retry": null}}}),
        json!({"tasks": {"a": {"image": "debian:bookworm-slim"}, "b": {"image": "x", "command": "y", "depends": ["a"], "runIf": "FINISHED"}}}),
        json!({"tasks": {"a": {"handler": "send_mail", "arguments": {"to": "ops", "deep": [[[[]]]]}}}}),
        json!({"tasks": {"a": {"handler": "h", "arguments": [1, "2", null]}, "b": {"handler": "h", "arguments": false, "workspace": "FILES"}}}),
        json!({"tasks": {"a": {"command": "true", "timeout": "0.000000001s", "grace": "0s", "retry": {"max_attempts": -1, "backoff": "0s", "max_backoff": "316224000s"}}}}),
        json!({"tasks": {"a": {"command": "true", "retry": {"maxAttempts": "3", "maxBackoff": "1.5s"}}}}),
        json!({"tasks": {"a": {"command": "true", "retry": {}}, "tâsk b.c-d": {"command": "true", "depends": ["a"], "run_if": 1, "workspace": 2}}}),
        json!({"data": {"a": [1, null]}, "run_at": "2030-01-31T12:00:00.5+02:00", "expires_after": "1s", "timeout": "0.5s", "notify": true, "unique": {"key": "k", "scope": "ALL", "period": "1s", "existing": "REPLACE"}, "tasks": {"a": {"command": "true"}}}),
        json!({"data": "text", "delay": "3600s", "unique": {"key": "k2"}, "tasks": {"a": {"command": "true", "priority": -5, "delivery": "AT_MOST_ONCE", "crash_limit": 1, "concurrency": {"key": "k", "limit": 2}, "rate": {"key": "k", "limit": "3", "period": "0.25s"}}}}),
        json!({"tasks": {"a": {"command": "true", "retry": {"max_attempts": 5, "factor": 1, "increment": "2s", "jitter": 0, "outcomes": ["TIMED_OUT", 0], "exit_codes": [75, "1"]}}, "b": {"command": "true", "retry": {"maxAttempts": -1, "delays": ["1s", "0s", "2.5s"], "jitter": 0.25, "factor": 1.5}}}}),
        json!({"tasks": {"a": {"image": "i", "command": "x", "container": {"entrypoint": ["/bin/bash", "-c"], "user": "1000:users", "network": "none", "mounts": ["/data:/data", "/a b:/b/workspace:ro"], "platform": "linux/arm64", "pull": "ALWAYS", "init": false, "gpus": "all"}}, "b": {"image": "i", "container": null}, "c": {"image": "i", "container": {"user": "", "mounts": [], "pull": 2, "gpus": "2"}}}}),
        json!({"tasks": {"a": {"command": "true", "secrets": {"A": "env:B", "C": "file:d/e.f", "G": "h-i.j", "a b": "-x"}}, "b": {"handler": "h", "secrets": {}}}}),
        json!({"tasks": {"a": {"command": "true", "resources": {"cpus": 1.5, "memory": "1.5GiB", "gpus": 2.0, "licence": 1}, "requires": [{"label": "zone", "in": ["eu", "us", "eu"]}, {"label": "arch", "notIn": ["arm"]}, {"label": "ssd", "exists": true}, {"label": "old", "exists": false}]}}}),
        json!({"tasks": {"a": {"command": "true", "resources": {"cpus": 0.07, "memory": "0.001kB"}}, "b": {"handler": "h", "resources": {"memory": 4096}, "requires": []}, "c": {"image": "i", "resources": {}, "requires": [{"label": "a", "in": [""]}]}}}),
        json!({"keep_workspace": "ALWAYS", "artifacts": ["*.{csv,json}", "!old/"], "ignore": ["target/", " a"], "tasks": {"a": {"command": "true", "outputs": ["/out/", "[]a-c-]", "[!]a]", "\\[z-a]", "a\\\\b"], "ignore": ["!target/", "{a,b[}]}", "[--a]x", "**"]}}}),
        json!({"keepWorkspace": 2, "artifacts": [], "tasks": {"a": {"handler": "h", "workspace": "FILES", "outputs": ["x"], "ignore": []}, "b": {"handler": "h", "outputs": [], "ignore": []}}}),
        json!({"tasks": {"a": {"command": "c".repeat(131_071), "env": {"A": "", "b c": "line\nline"}}}}),
        json!({"tasks": (0..300).map(|n| (format!("t{n}"), json!({"command": "true", "depends": if n == 0 { vec![] } else { vec![format!("t{}", n - 1)] }}))).collect::<Map<_, _>>()}),
    ]
}
