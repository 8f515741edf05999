//! Finds a topological order, or names what prevents one.
//!
//! Invariant: iterative throughout (a chain may be 1,000,000 tasks deep), and the same graph gives
//! the same words.

use std::collections::VecDeque;

use petgraph::{
    algo::{kosaraju_scc, toposort},
    graph::{DiGraph, NodeIndex},
};

use super::edges::Edges;
use crate::spec::{Problem, Problems, shown};

/// How many names of a long cycle a message shows.
const NAMES_SHOWN: usize = 12;

/// Every node after its parents, related ones near each other; none if there is a cycle, and then
/// each knot of cycles was reported once.
pub(super) fn order(parents: &Edges, names: &[&str], problems: &mut Problems) -> Option<Vec<u32>> {
    let mut graph = DiGraph::<(), (), u32>::with_capacity(names.len(), parents.edge_count());
    for _ in names {
        graph.add_node(());
    }
    for node in 0..parents.node_count() {
        for &parent in parents.of(node) {
            graph.add_edge(NodeIndex::from(parent), NodeIndex::from(node), ());
        }
    }
    if let Ok(order) = toposort(&graph, None) {
        return Some(order.into_iter().map(to_index).collect());
    }
    let mut knots: Vec<Vec<u32>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|knot| knot.len() > 1)
        .map(|knot| knot.into_iter().map(to_index).collect())
        .collect();
    // Indexes follow names, so the smallest index is the first name.
    knots.sort_by_key(|knot| knot.iter().min().copied());
    let mut knot_of = vec![usize::MAX; names.len()];
    for (number, knot) in knots.iter().enumerate() {
        knot.iter().for_each(|&node| knot_of[node as usize] = number);
    }
    for knot in &knots {
        problems.add(|| report(&shortest_cycle(knot, &knot_of, parents), names));
    }
    None
}

fn to_index(node: NodeIndex<u32>) -> u32 {
    super::edges::index(node.index())
}

/// The shortest cycle through the first name of a knot, in the order the tasks would run.
fn shortest_cycle(knot: &[u32], knot_of: &[usize], parents: &Edges) -> Vec<u32> {
    let first = knot.iter().copied().min().expect("invariant: a knot has two nodes or more");
    // Breadth first from child to parent; remembers which child each parent was met from.
    let mut met_from = std::collections::HashMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        for &parent in parents.of(node) {
            if knot_of[parent as usize] != knot_of[first as usize] || met_from.contains_key(&parent)
            {
                continue;
            }
            met_from.insert(parent, node);
            if parent == first {
                return path_back(first, &met_from);
            }
            queue.push_back(parent);
        }
    }
    unreachable!("invariant: inside a strongly connected component every node is on a cycle")
}

/// From `first` through the children it was met from, back to `first`.
fn path_back(first: u32, met_from: &std::collections::HashMap<u32, u32>) -> Vec<u32> {
    let mut path = vec![first];
    let mut node = met_from[&first];
    while node != first {
        path.push(node);
        node = met_from[&node];
    }
    path
}

fn report(cycle: &[u32], names: &[&str]) -> Problem {
    let name = |&node: &u32| shown(names[node as usize]).into_owned();
    let mut words: Vec<String> = cycle.iter().take(NAMES_SHOWN).map(name).collect();
    if cycle.len() > NAMES_SHOWN {
        words.push(format!("({} more)", cycle.len() - NAMES_SHOWN));
    }
    words.extend(cycle.first().map(name));
    Problem::new(
        format!("tasks.{}.depends", words[0]),
        format!("these tasks wait for each other: {}; remove a dependency", words.join(" -> ")),
    )
}
