//! Numbers tasks and gates: by level, then by gate, then by name.
//!
//! Invariant: a parent's number is smaller than its child's, and the tasks of one gate are numbered
//! without a hole. Roots have no gate and come first.

use std::sync::Arc;

use super::edges::{Edges, index};

/// A gate in the making: the numbers of its parents, ascending, and of its first and last task.
pub(super) struct NumberedGate {
    pub(super) parents: Arc<[u32]>,
    pub(super) first: u32,
    pub(super) last: u32,
}

/// Where every task went.
pub(super) struct Numbering {
    /// By number: the index of the task.
    pub(super) index_of: Vec<u32>,
    /// By index: the number.
    pub(super) number_of: Vec<u32>,
    pub(super) gates: Vec<NumberedGate>,
}

/// Numbers the tasks whose reduced parents (as indexes) and levels these are. Indexes follow names.
pub(super) fn number(reduced: &Edges, levels: &[u32]) -> Numbering {
    let count = levels.len();
    let mut by_level: Vec<u32> = (0..index(count)).collect();
    by_level.sort_by_key(|&task| levels[task as usize]);
    let mut done = Numbering {
        index_of: Vec::with_capacity(count),
        number_of: vec![u32::MAX; count],
        gates: Vec::new(),
    };
    for level in by_level.chunk_by(|&a, &b| levels[a as usize] == levels[b as usize]) {
        done.add_level(level, reduced);
    }
    done
}

impl Numbering {
    fn add_level(&mut self, level: &[u32], reduced: &Edges) {
        let mut waiting: Vec<(Vec<u32>, u32)> =
            level.iter().map(|&task| (self.numbers(reduced.of(task)), task)).collect();
        waiting.sort_unstable();
        for group in waiting.chunk_by(|(a, _), (b, _)| a == b) {
            let first = index(self.index_of.len());
            for &(_, task) in group {
                self.number_of[task as usize] = index(self.index_of.len());
                self.index_of.push(task);
            }
            let last = index(self.index_of.len() - 1);
            let parents = &group[0].0;
            if !parents.is_empty() {
                self.gates.push(NumberedGate { parents: parents.as_slice().into(), first, last });
            }
        }
    }

    fn numbers(&self, tasks: &[u32]) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            tasks.iter().map(|&task| self.number_of[task as usize]).collect();
        numbers.sort_unstable();
        numbers
    }
}
