//! The examples are valid and do what they are for.

use std::path::Path;

use crate::command::run;

fn dag(example: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
    let ended = run(&["dag", path.to_str().unwrap()], "");
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{example}");
    ended.out
}

#[test]
fn the_smallest_example_is_one_task() {
    assert!(dag("hello/job.yaml").starts_with("1 task,"));
}

#[test]
fn both_forms_of_the_demo_have_the_same_graph() {
    assert_eq!(dag("repository/job.yaml"), dag("repository/job.shell.yaml"));
}
