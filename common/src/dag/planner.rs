//! The way from a spec to a plan.
//!
//! Invariant: either a plan, or every problem of the document that can be told apart.

use super::{
    cycle,
    edges::Edges,
    names, number,
    plan_type::{Parts, Plan},
    reduce,
};
use crate::spec::{JobSpec, Limits, Problem, Problems, RunIf, check_fields};

/// Checks `spec` and makes it a plan, or tells all that is wrong with it.
pub fn plan(spec: JobSpec, limits: &Limits) -> Result<Plan, Vec<Problem>> {
    plan_with(spec, limits, Problems::new(limits.problems))
}

/// As [`plan`], but tells also the `problems` that were found on the way to the spec. Where there
/// are some, the spec may hold any value in place of a faulty one.
pub fn plan_with(
    spec: JobSpec,
    limits: &Limits,
    mut problems: Problems,
) -> Result<Plan, Vec<Problem>> {
    check_fields(&spec, limits, &mut problems);
    let depends = names::resolve(&spec, limits, &mut problems);
    let task_names: Vec<&str> = spec.tasks.keys().map(String::as_str).collect();
    let order = cycle::order(&depends, &task_names, &mut problems);
    problems.into_result()?;
    let order = order.expect("invariant: a cycle is a problem");
    let (reduced, levels) = reduce_in_order(&depends, order, &spec);
    let numbering = number::number(&reduced, &levels);
    Ok(Plan::assemble(spec, Parts { depends, levels, numbering }))
}

/// The reduced parents and the level of each task, by index.
fn reduce_in_order(depends: &Edges, mut order: Vec<u32>, spec: &JobSpec) -> (Edges, Vec<u32>) {
    let levels = levels(depends, &order);
    // The sort is stable: inside a level, what is related stays together.
    order.sort_by_key(|&task| levels[task as usize]);
    let mut position = vec![0; order.len()];
    for (at, &task) in (0..).zip(&order) {
        position[task as usize] = at;
    }
    let mut by_position = Edges::with_capacity(order.len(), depends.edge_count());
    for &task in &order {
        by_position.push(depends.of(task).iter().map(|&parent| position[parent as usize]));
    }
    let strict_by_index: Vec<bool> =
        spec.tasks.values().map(|task| task.run_if == RunIf::Succeeded).collect();
    let is_strict: Vec<bool> = order.iter().map(|&task| strict_by_index[task as usize]).collect();
    let levels_by_position: Vec<u32> = order.iter().map(|&task| levels[task as usize]).collect();
    let implied = reduce::implied(&by_position, &is_strict, &levels_by_position);

    let mut reduced = Edges::with_capacity(order.len(), depends.edge_count());
    for (task, &at) in (0..).zip(&position) {
        let list = (by_position.start_of(at)..).zip(depends.of(task));
        reduced.push(list.filter(|(edge, _)| !implied[*edge]).map(|(_, &parent)| parent));
    }
    (reduced, levels)
}

/// The longest path to each task, in edges, by index.
fn levels(depends: &Edges, order: &[u32]) -> Vec<u32> {
    let mut levels = vec![0; order.len()];
    for &task in order {
        let above = depends.of(task).iter().map(|&parent| levels[parent as usize] + 1).max();
        levels[task as usize] = above.unwrap_or(0);
    }
    levels
}
