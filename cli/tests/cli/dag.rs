//! `postq dag` shows levels and reduced edges.

use crate::command::run;

const DIAMOND: &str = r#"
tasks:
  a: {command: "true"}
  b: {command: "true", depends: [a]}
  c: {command: "true", depends: [a]}
  d: {command: "true", depends: [a, b, c]}
"#;

#[test]
fn text_shows_levels_and_edges_after_the_reduction() {
    let ended = run(&["dag", "-"], DIAMOND);
    assert_eq!(ended.code, 0, "{ended:?}");
    let wanted = "4 tasks, 3 levels, 4 edges (5 as written)\nlongest path: a -> b -> d\n\n\
                  level 0\n  a\n\nlevel 1\n  b <- a\n  c <- a\n\nlevel 2\n  d <- b, c\n";
    assert_eq!(ended.out, wanted);
}

#[test]
fn pictures_are_for_graphviz_and_mermaid() {
    let dot = run(&["dag", "--dot", "-"], DIAMOND);
    assert!(dot.out.starts_with("digraph") && dot.out.matches("->").count() == 4, "{dot:?}");
    let mermaid = run(&["dag", "--mermaid", "-"], DIAMOND);
    assert!(mermaid.out.starts_with("flowchart"), "{mermaid:?}");
    assert_eq!(mermaid.out.matches("-->").count(), 4);
}

#[test]
fn json_is_read_like_yaml() {
    let ended = run(&["dag", "-"], r#"{"tasks": {"only": {"command": "true"}}}"#);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    assert!(ended.out.starts_with("1 task, 1 level, 0 edges"));
}
