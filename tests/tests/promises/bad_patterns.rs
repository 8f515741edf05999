//! Job documents whose patterns no door may let in: which files are kept.

use serde_json::{Value, json};

use crate::bad_documents::{with_field, with_task, with_task_field};

/// Which files are kept.
pub(crate) fn files() -> Vec<Value> {
    let patterns = [
        "",
        "!",
        "/",
        "!//",
        "#x",
        "a ",
        "a\u{2003}",
        "a\tb",
        "a\\",
        "a\\/b",
        "\\\\/",
        "[",
        "[]",
        "[!]",
        "[a",
        "[z-a]",
        "[!z-a]",
        "[ab-c-a]",
        "[a-c-e]",
        "[---]",
        "[é-e]",
        "{",
        "a}",
        "{a,{b}}",
        "{a[}",
        "\\[[b-a]",
    ];
    let mut all = vec![
        with_field("keep_workspace", json!("SOMETIMES")),
        with_field("keepWorkspace", json!(3)),
        with_field("artifacts", json!("*")),
        with_field("artifacts", json!(patterns)),
        with_field("ignore", json!([5])),
        with_field("ignore", json!(vec!["a"; 101])),
        with_field("outputs", json!(["a"])),
        with_task_field("artifacts", json!(["a"])),
        with_task_field("ignore", json!({"a": "b"})),
        with_task_field("ignore", json!(patterns)),
        with_task_field("outputs", json!(vec![""; 101])),
        with_task_field("outputs", json!(["x".repeat(4097)])),
        with_task(json!({"handler": "h", "outputs": ["a"], "ignore": ["b", "["]})),
        with_task(json!({"command": "c", "workspace": "NONE", "outputs": ["a"]})),
        with_task(json!({"image": "i", "workspace": 2, "ignore": ["#"]})),
    ];
    all.extend(patterns.map(|pattern| with_task_field("outputs", json!([pattern]))));
    all
}
