//! What claimed tasks are given of those they depend on: read in batches, and once for tasks that depend
//! on the same ones.
//!
//! It knows no agents. Invariant: a batch is as large as what its tasks depend on allows, so that a claim
//! of many tasks is neither a query for each nor more than can be held.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use super::deliver::Unfit;
use crate::{
    errors,
    store::{AssignmentRow, InputRow, Sources, Store},
};

/// What the outputs of all dependencies of a task may be together, in bytes: half of what one
/// message carries.
const MOST_BYTES: i64 = 32 * 1024 * 1024;
/// Dependencies that are read together: each may have left 1 MiB of JSON.
const BATCH: i32 = 64;
/// Batches that are read ahead.
pub(super) const READ_AHEAD: usize = 2;

/// A claimed task with what its assignment is made of.
pub(super) struct Prepared {
    pub(super) row: AssignmentRow,
    pub(super) sources: Sources,
    /// Shared by all that depend on the same ones; or why it could not be read.
    inputs: Result<Arc<Vec<InputRow>>, String>,
}

impl Prepared {
    /// Nothing is read yet.
    pub(super) fn new(row: AssignmentRow, sources: Sources) -> Self {
        Self { row, sources, inputs: Ok(Arc::default()) }
    }

    /// What those it depends on left, where it is not too much.
    pub(super) fn inputs(&self) -> Result<&[InputRow], Unfit> {
        let inputs = self.inputs.as_ref().map_err(|error| Unfit::Waits(error.clone()))?;
        match inputs.first().map_or(0, |first| first.total) {
            ..=MOST_BYTES => Ok(inputs),
            total => Err(Unfit::Fails(format!(
                "the outputs of the tasks it depends on have {total} bytes together; they may have \
                 {MOST_BYTES}: leave larger ones in files"
            ))),
        }
    }

    /// Equal for tasks that depend on the same ones.
    fn depends(&self) -> (Uuid, i32, i64) {
        (self.row.job, self.row.depends, self.row.depends_hash)
    }
}

/// Cuts a claim into batches by how many tasks theirs depend on.
pub(super) fn batches(tasks: impl Iterator<Item = Prepared>) -> Vec<Vec<Prepared>> {
    let mut batches = vec![Vec::new()];
    let (mut known, mut weight) = (HashSet::new(), 0);
    for one in tasks {
        if !known.contains(&one.depends()) && weight > 0 && weight + one.row.depends > BATCH {
            batches.push(Vec::new());
            known.clear();
            weight = 0;
        }
        if known.insert(one.depends()) {
            weight += one.row.depends;
        }
        batches.last_mut().expect("invariant: there is one from the start").push(one);
    }
    batches
}

/// Reads what those of a batch are given.
pub(super) async fn read(store: &Store, mut batch: Vec<Prepared>) -> Vec<Prepared> {
    let mut first: HashMap<_, _> = HashMap::new();
    for one in batch.iter().filter(|one| one.row.depends > 0) {
        first.entry(one.depends()).or_insert_with(|| one.row.task());
    }
    if first.is_empty() {
        return batch;
    }
    let asked: Vec<_> = first.values().copied().collect();
    let read = store.inputs(&asked, MOST_BYTES).await.map_err(|error| errors::chain(&error));
    let read: Result<HashMap<_, _>, _> = read.map(|mut rows| {
        let shared = |(depends, task)| (depends, Arc::new(rows.remove(&task).unwrap_or_default()));
        first.into_iter().map(shared).collect()
    });
    for one in batch.iter_mut().filter(|one| one.row.depends > 0) {
        one.inputs = read.as_ref().map_err(Clone::clone).map(|rows| rows[&one.depends()].clone());
    }
    batch
}
