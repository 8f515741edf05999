//! The graphs of the jobs that joined files lately: which task follows which.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use postq_common::id::JobId;

use crate::{
    store::{Store, StoreError},
    workspace::IsAncestor,
};

/// Graphs that are remembered.
const REMEMBERED: usize = 64;

type Parents = Arc<Vec<Vec<i32>>>;

/// Graphs by job, read from the database once while they are remembered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Graphs {
    store: Store,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    parents: HashMap<JobId, Parents>,
    order: VecDeque<JobId>,
}

impl Graphs {
    /// None remembered yet.
    pub fn new(store: Store) -> Self {
        Self { store, memory: Arc::default() }
    }

    /// The question whether one task of a job precedes another.
    pub async fn of(&self, job: JobId) -> Result<IsAncestor, StoreError> {
        let known = self.lock().parents.get(&job).cloned();
        let parents = match known {
            Some(parents) => parents,
            None => {
                let parents = Arc::new(self.store.parents(job).await?);
                self.lock().put(job, Arc::clone(&parents));
                parents
            }
        };
        Ok(Arc::new(move |a, b| precedes(&parents, a, b)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn put(&mut self, job: JobId, parents: Parents) {
        if self.parents.insert(job, parents).is_none() {
            self.order.push_back(job);
        }
        while self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.parents.remove(&oldest));
        }
    }
}

/// Whether there is a path from task `a` to task `b`. Numbers are a topological order, so the search
/// goes up from `b` and never below `a`.
fn precedes(parents: &[Vec<i32>], a: i32, b: i32) -> bool {
    let mut seen = HashSet::new();
    let mut up = vec![b];
    while let Some(at) = up.pop() {
        let Some(above) = usize::try_from(at).ok().and_then(|at| parents.get(at)) else { continue };
        for &parent in above {
            if parent == a {
                return true;
            }
            if parent > a && seen.insert(parent) {
                up.push(parent);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_precedes_those_that_a_path_leads_to() {
        // 0 -> 1 -> 3, 0 -> 2
        let parents = vec![vec![], vec![0], vec![0], vec![1]];
        assert!(precedes(&parents, 0, 3));
        assert!(precedes(&parents, 1, 3));
        assert!(!precedes(&parents, 2, 3));
        assert!(!precedes(&parents, 3, 3));
        assert!(!precedes(&parents, 3, 0));
    }
}
