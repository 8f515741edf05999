//! Questions about a plan: who comes before, who after, and in which order.
//!
//! Invariant: every answer is in the lexicographic topological order, or says otherwise.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use super::plan_type::{Plan, PlannedTask};

impl Plan {
    /// The topological order in which the smallest name that can come next does.
    pub fn lexicographic_order(&self) -> Vec<&PlannedTask> {
        let mut open: Vec<usize> = self.tasks().iter().map(|task| task.parents().len()).collect();
        let ready = |number: u32| Reverse((self.tasks()[number as usize].name(), number));
        let roots = self.tasks().iter().filter(|task| task.parents().is_empty());
        let mut heap: BinaryHeap<_> = roots.map(|task| ready(task.number())).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(Reverse((_, number))) = heap.pop() {
            order.push(&self.tasks()[number as usize]);
            for &child in self.children.of(number) {
                open[child as usize] -= 1;
                if open[child as usize] == 0 {
                    heap.push(ready(child));
                }
            }
        }
        order
    }

    /// Every task that must end before `name` can start; none if there is no such task.
    pub fn ancestors(&self, name: &str) -> Option<Vec<&PlannedTask>> {
        let task = self.task(name)?;
        let found = reach(task.number(), |number| self.tasks()[number as usize].parents());
        Some(self.ordered(&found))
    }

    /// Every task that waits for `name`, however far off; none if there is no such task.
    pub fn descendants(&self, name: &str) -> Option<Vec<&PlannedTask>> {
        let task = self.task(name)?;
        Some(self.ordered(&reach(task.number(), |number| self.children.of(number))))
    }

    /// The numbers of the tasks that wait directly for this one, ascending.
    pub fn children(&self, number: u32) -> &[u32] {
        self.children.of(number)
    }

    /// The tasks that nobody depends on, by number.
    pub fn sinks(&self) -> impl Iterator<Item = &PlannedTask> {
        self.tasks().iter().filter(|task| self.children.of(task.number()).is_empty())
    }

    /// The tasks by level; those of one level may run side by side.
    pub fn levels(&self) -> impl Iterator<Item = &[PlannedTask]> {
        self.tasks().chunk_by(|a, b| a.level() == b.level())
    }

    /// How many tasks the longest path has: the least number of steps the job takes.
    pub fn critical_path_length(&self) -> usize {
        self.tasks().last().map_or(0, |task| task.level() as usize + 1)
    }

    /// A longest path, first task first; of several, the one with the smallest numbers from the end.
    pub fn critical_path(&self) -> Vec<&PlannedTask> {
        let Some(end) = self.levels().last().and_then(|level| level.first()) else {
            return Vec::new();
        };
        let mut path = vec![end];
        let mut task = end;
        while let Some(above) = task.level().checked_sub(1) {
            let mut parents = task.parents().iter().map(|&parent| &self.tasks()[parent as usize]);
            task = parents
                .find(|parent| parent.level() == above)
                .expect("invariant: a longest path passes every level");
            path.push(task);
        }
        path.reverse();
        path
    }

    fn ordered(&self, found: &BTreeSet<u32>) -> Vec<&PlannedTask> {
        let mut order = self.lexicographic_order();
        order.retain(|task| found.contains(&task.number()));
        order
    }
}

/// All that can be reached from `start`, without it.
fn reach<'a>(start: u32, next: impl Fn(u32) -> &'a [u32]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(number) = open.pop() {
        open.extend(next(number).iter().copied().filter(|&other| found.insert(other)));
    }
    found
}
