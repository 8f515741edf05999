//! A plan as a picture in text: Graphviz and Mermaid, with the reduced edges.
//!
//! A task that wants something else than success of its parents shows it on the edges to it.

use std::fmt::Write;

use super::plan_type::{Plan, PlannedTask};
use crate::spec::RunIf;

impl Plan {
    /// The graph for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph job {\n  rankdir=LR;\n  node [shape=box];\n");
        for task in self.tasks() {
            let name = task.name().replace('\\', "\\\\").replace('"', "\\\"");
            push_line(&mut out, format_args!("  t{} [label=\"{name}\"];", task.number()));
        }
        self.each_edge(|parent, task| {
            let style = match condition(task) {
                Some(word) => format!(" [style=dashed, label=\"{word}\"]"),
                None => String::new(),
            };
            push_line(&mut out, format_args!("  t{parent} -> t{}{style};", task.number()));
        });
        out.push_str("}\n");
        out
    }

    /// The graph for Mermaid.
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for task in self.tasks() {
            let name = mermaid_text(task.name());
            push_line(&mut out, format_args!("  t{}[\"{name}\"]", task.number()));
        }
        self.each_edge(|parent, task| {
            let arrow = match condition(task) {
                Some(word) => format!("-.->|{word}|"),
                None => "-->".to_owned(),
            };
            push_line(&mut out, format_args!("  t{parent} {arrow} t{}", task.number()));
        });
        out
    }

    fn each_edge(&self, mut draw: impl FnMut(u32, &PlannedTask)) {
        for task in self.tasks() {
            task.parents().iter().for_each(|&parent| draw(parent, task));
        }
    }
}

fn push_line(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("invariant: a String takes all text");
}

fn condition(task: &PlannedTask) -> Option<&'static str> {
    match task.spec().run_if {
        RunIf::Succeeded => None,
        other => Some(other.as_str()),
    }
}

/// Mermaid reads `#name;` as a character, and some characters end a label.
fn mermaid_text(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | ';' => {
                write!(out, "#{};", u32::from(c)).expect("invariant: a String takes all text");
            }
            _ => out.push(c),
        }
    }
    out
}
