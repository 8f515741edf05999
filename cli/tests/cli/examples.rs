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

/// Each part of a document that `docs/queues.md` shows: tasks, or a field of a job or of a task.
#[test]
fn what_the_document_about_queues_shows_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/queues.md");
    let document = std::fs::read_to_string(path).unwrap();
    let is_code = |line: &&str| line.starts_with("    ");
    let lines: Vec<&str> = document.lines().collect();
    let blocks = lines.chunk_by(|one, next| is_code(one) == is_code(next));
    let blocks = blocks.filter(|block| is_code(&block[0]));
    let is_document = |block: &&[&str]| !block[0].trim_start().starts_with(['{', '"']);
    let mut count = 0;
    for block in blocks.filter(is_document) {
        let text = block.join("\n");
        let wholes = [
            format!("tasks:\n{text}\n"),
            format!("{text}\n    tasks: {{a: {{command: 'true'}}}}\n"),
            format!("tasks:\n  a:\n    command: 'true'\n{text}\n"),
        ];
        let ends = wholes.map(|whole| run(&["dag", "-"], &whole));
        assert!(ends.iter().any(|end| end.code == 0), "{text}\n{}", ends[1].errors);
        count += 1;
    }
    assert_eq!(count, 5);
}
