//! From the names in `depends` to indexes (the position of a task among the sorted names), and what
//! is wrong with each list by itself.
//!
//! It does not know cycles of more than one task.

use std::collections::HashMap;

use super::edges::{Edges, index};
use crate::spec::{JobSpec, Limits, Problem, Problems, shown};

/// The parents of every task as indexes, in the order written; faulty entries are left out and
/// reported.
pub(super) fn resolve(job: &JobSpec, limits: &Limits, problems: &mut Problems) -> Edges {
    let indexes: HashMap<&str, u32> = job.tasks.keys().map(String::as_str).zip(0..).collect();
    let total: usize = job.tasks.values().map(|task| task.depends.len()).sum();
    if total > limits.depends_per_job {
        let max = limits.depends_per_job;
        problems.add(|| {
            Problem::new("tasks", format!("the job has {total} dependencies; it may have {max}"))
        });
        // What follows would cost more than it tells.
        return no_edges(job.tasks.len());
    }
    let mut edges = Edges::with_capacity(job.tasks.len(), total);
    // The last task that listed each one, so that a repetition is seen without a set per task.
    let mut listed_by = vec![u32::MAX; job.tasks.len()];
    for (task, (name, spec)) in job.tasks.iter().enumerate() {
        let task = index(task);
        let max = limits.depends_per_task;
        if spec.depends.len() > max {
            problems.add(|| too_many(name, spec.depends.len(), max));
        }
        let mut list = Vec::with_capacity(spec.depends.len());
        for (nth, parent) in spec.depends.iter().enumerate() {
            let found = indexes.get(parent.as_str()).copied();
            match fault(name, task, parent, found, &mut listed_by) {
                None => list.extend(found),
                Some(message) => problems
                    .add(|| Problem::new(format!("tasks.{}.depends[{nth}]", shown(name)), message)),
            }
        }
        edges.push(list);
    }
    edges
}

fn fault(
    name: &str,
    task: u32,
    parent: &str,
    found: Option<u32>,
    listed_by: &mut [u32],
) -> Option<String> {
    let (name, parent) = (shown(name), shown(parent));
    let Some(found) = found else {
        return Some(format!(
            "task \"{name}\" depends on \"{parent}\", which is not a task of this job"
        ));
    };
    if found == task {
        return Some(format!("task \"{name}\" depends on itself"));
    }
    if listed_by[found as usize] == task {
        return Some(format!("task \"{name}\" depends on \"{parent}\" twice; name it once"));
    }
    listed_by[found as usize] = task;
    None
}

fn too_many(name: &str, count: usize, max: usize) -> Problem {
    Problem::new(
        format!("tasks.{}.depends", shown(name)),
        format!("has {count} names; it may have {max}: let a task in between gather some"),
    )
}

fn no_edges(nodes: usize) -> Edges {
    let mut edges = Edges::with_capacity(nodes, 0);
    (0..nodes).for_each(|_| edges.push([]));
    edges
}
