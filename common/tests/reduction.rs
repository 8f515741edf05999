//! The planner against definitions written down naively, on random graphs.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};

use postq_common::{
    dag::{Plan, plan},
    spec::{JobSpec, Limits, RunIf, TaskSpec},
};
use proptest::prelude::*;

/// By index: the parents, each a smaller index, and the condition.
type Graph = Vec<(BTreeSet<usize>, RunIf)>;

/// A random graph; names are shuffled so that their order says nothing about the edges.
fn graph(run_ifs: &'static [RunIf]) -> impl Strategy<Value = (Graph, Vec<usize>)> {
    (1..28usize, 0.0..1.0f64).prop_flat_map(move |(size, density)| {
        let draws = prop::collection::vec(0.0..1.0f64, size * size);
        let run_ifs = prop::collection::vec(prop::sample::select(run_ifs), size);
        let names = Just((0..size).collect::<Vec<_>>()).prop_shuffle();
        (draws, run_ifs, names).prop_map(move |(draws, run_ifs, names)| {
            let parents = |n: usize| (0..n).filter(|p| draws[n * size + p] < density).collect();
            (run_ifs.iter().enumerate().map(|(n, &run_if)| (parents(n), run_if)).collect(), names)
        })
    })
}

fn name(names: &[usize], index: usize) -> String {
    format!("t{:02}", names[index])
}

fn planned(graph: &Graph, names: &[usize]) -> Plan {
    let task = |(index, (parents, run_if)): (usize, &(BTreeSet<usize>, RunIf))| {
        let depends = parents.iter().map(|&parent| name(names, parent)).collect();
        let spec = TaskSpec {
            command: "true".to_owned(),
            run_if: *run_if,
            depends,
            ..TaskSpec::default()
        };
        (name(names, index), spec)
    };
    let tasks: BTreeMap<_, _> = graph.iter().enumerate().map(task).collect();
    plan(JobSpec { tasks, ..JobSpec::default() }, &Limits::default()).unwrap()
}

/// All from which a path leads to `to` on which every task after the first wants its parents to
/// succeed.
fn strict_ancestors(graph: &Graph, to: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![to];
    while let Some(task) = open.pop() {
        if graph[task].1 == RunIf::Succeeded {
            open.extend(graph[task].0.iter().copied().filter(|&parent| found.insert(parent)));
        }
    }
    found
}

/// Whether such a path of two edges or more leads from `from` to `to`.
fn is_implied(graph: &Graph, from: usize, to: usize) -> bool {
    graph[to].1 == RunIf::Succeeded
        && graph[to].0.iter().any(|&middle| strict_ancestors(graph, middle).contains(&from))
}

fn closure(parents: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = Vec::new();
    for list in parents {
        let further = list.iter().flat_map(|&parent| all[parent].iter().copied());
        let reached = list.iter().copied().chain(further).collect();
        all.push(reached);
    }
    all
}

/// The reduced parents of each task, by index.
fn reduced(plan: &Plan, names: &[usize]) -> Vec<BTreeSet<usize>> {
    let index_of = |number: &u32| {
        let wanted = plan.task_by_number(*number).unwrap().name();
        (0..names.len()).find(|&index| name(names, index) == wanted).unwrap()
    };
    let of = |index| plan.task(&name(names, index)).unwrap().parents().iter().map(index_of);
    (0..names.len()).map(|index| of(index).collect()).collect()
}

fn check_reduction(graph: &Graph, names: &[usize]) -> Result<(), TestCaseError> {
    let got = reduced(&planned(graph, names), names);
    for (to, (parents, _)) in graph.iter().enumerate() {
        let needed = |from: &usize| !is_implied(graph, *from, to);
        let wanted: BTreeSet<usize> = parents.iter().copied().filter(needed).collect();
        prop_assert_eq!(&got[to], &wanted, "parents of {}", to);
    }
    let written: Vec<_> = graph.iter().map(|(parents, _)| parents.clone()).collect();
    prop_assert_eq!(closure(&got), closure(&written));
    Ok(())
}

fn check_numbers(graph: &Graph, names: &[usize]) -> Result<(), TestCaseError> {
    let plan = planned(graph, names);
    let mut gate_sets = BTreeSet::new();
    for (number, task) in (0..).zip(plan.tasks()) {
        prop_assert_eq!(task.number(), number);
        prop_assert!(task.depends().iter().all(|&parent| parent < number));
        prop_assert_eq!(task.gate().is_none(), task.parents().is_empty());
        let above = task.parents().iter().map(|&p| plan.tasks()[p as usize].level() + 1).max();
        prop_assert_eq!(task.level(), above.unwrap_or(0));
        if let Some(gate) = task.gate() {
            prop_assert_eq!(plan.gates()[gate as usize].parents(), task.parents());
        }
    }
    for (number, gate) in (0..).zip(plan.gates()) {
        prop_assert_eq!(gate.number(), number);
        prop_assert!(gate_sets.insert(gate.parents().to_vec()), "two gates for one set");
        let inside = |task: u32| gate.first() <= task && task <= gate.last();
        let own = plan.tasks().iter().filter(|task| task.gate() == Some(number));
        prop_assert!(own.clone().all(|task| inside(task.number())));
        prop_assert_eq!(own.count(), (gate.last() - gate.first() + 1) as usize);
        let group = &plan.tasks()[gate.first() as usize..=gate.last() as usize];
        prop_assert!(group.is_sorted_by_key(|task| task.name()));
    }
    prop_assert!(plan.tasks().is_sorted_by_key(|task| task.level()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reduction_of_plain_graphs_is_the_one_of_the_definition(
        (graph, names) in graph(&[RunIf::Succeeded])
    ) {
        check_reduction(&graph, &names)?;
    }

    #[test]
    fn the_reduction_keeps_what_run_if_needs(
        (graph, names) in graph(&[RunIf::Succeeded, RunIf::Succeeded, RunIf::Failed, RunIf::Finished])
    ) {
        check_reduction(&graph, &names)?;
    }

    #[test]
    fn numbers_are_topological_and_gates_contiguous(
        (graph, names) in graph(&[RunIf::Succeeded, RunIf::Failed])
    ) {
        check_numbers(&graph, &names)?;
    }
}

/// More starts than one round of the reduction holds.
#[test]
fn a_graph_wider_than_one_round_is_reduced_like_a_narrow_one() {
    const WIDTH: usize = 700;
    let mut graph: Graph = (0..WIDTH).map(|_| (BTreeSet::new(), RunIf::Succeeded)).collect();
    for n in 0..WIDTH {
        graph.push((BTreeSet::from([n, (n + 1) % WIDTH]), RunIf::Succeeded));
    }
    for n in 0..WIDTH {
        // The middle task implies both of its roots; the third root stays.
        let roots = [n, (n + 1) % WIDTH, (n + 5) % WIDTH];
        graph.push((roots.into_iter().chain([WIDTH + n]).collect(), RunIf::Succeeded));
    }
    let names: Vec<usize> = (0..graph.len()).collect();
    let plan = planned(&graph, &names);
    assert_eq!(plan.edge_count(), 2 * WIDTH + 2 * WIDTH);
}
