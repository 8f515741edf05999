//! `postq dag FILE`.

use clap::Args;
use postq_common::dag::{Plan, PlannedTask};

use crate::{
    document::Document,
    failure::{Exit, Failure},
    output,
    watch::words,
};

/// Check a job document and show its graph: levels, and edges after the transitive reduction.
#[derive(Args, Debug)]
pub struct Dag {
    #[command(flatten)]
    document: Document,
    /// For Graphviz.
    #[arg(long, conflicts_with = "mermaid")]
    dot: bool,
    /// For Mermaid.
    #[arg(long)]
    mermaid: bool,
}

impl Dag {
    /// Needs no coordinator.
    pub fn run(self) -> Result<Exit, Failure> {
        let plan = self.document.read()?.plan;
        let picture = if self.dot {
            plan.to_dot()
        } else if self.mermaid {
            plan.to_mermaid()
        } else {
            text(&plan)
        };
        output::print(&picture)?;
        Ok(Exit::Success)
    }
}

fn text(plan: &Plan) -> String {
    let tasks = plan.tasks();
    let written: usize = tasks.iter().map(|task| task.depends().len()).sum();
    let longest: Vec<_> = plan.critical_path().into_iter().map(PlannedTask::name).collect();
    let mut lines = vec![
        format!(
            "{}, {}, {} ({written} as written)",
            many(tasks.len(), "task"),
            many(longest.len(), "level"),
            many(plan.edge_count(), "edge")
        ),
        format!("longest path: {}", longest.join(" -> ")),
    ];
    for (number, level) in plan.levels().enumerate() {
        lines.push(format!("\nlevel {number}"));
        lines.extend(level.iter().map(|task| line(plan, task)));
    }
    lines.join("\n")
}

fn many(count: usize, thing: &str) -> String {
    words::many(i64::try_from(count).unwrap_or(i64::MAX), thing)
}

fn line(plan: &Plan, task: &PlannedTask) -> String {
    if task.parents().is_empty() {
        return format!("  {}", task.name());
    }
    let parents = task.parents().iter().filter_map(|&number| plan.task_by_number(number));
    let names: Vec<_> = parents.map(PlannedTask::name).collect();
    format!("  {} <- {}", task.name(), names.join(", "))
}
