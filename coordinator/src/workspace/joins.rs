//! The input of a task with several parents: merged by `postq_common::merge` over nodes from the
//! store, and remembered, because the tasks of one layer join the same parents.
//!
//! It knows nothing of the graph but what it is told. Invariant: every node of a snapshot that is
//! given out is in the store.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use postq_common::{
    merge::{Conflict, Merge, Merged, OnConflict, merge},
    tree::{Digest, Nodes, Snapshot, Step, TreeError},
};
use postq_runtime::crash;
use tokio::sync::OnceCell;
use tracing::debug;
use uuid::Uuid;

use super::{BlobError, Blobs};

/// Joins that are remembered: some hundred bytes each, as many as the layers of the jobs that run.
const REMEMBERED: usize = 4096;

/// Whether the first task precedes the second in the job's graph (a task does not precede itself).
pub type IsAncestor = Arc<dyn Fn(i32, i32) -> bool + Send + Sync>;

/// A task that joins parents.
#[derive(Clone)]
pub struct Join {
    /// The job's id: task numbers mean something within one job only.
    pub job: Uuid,
    /// The joining task.
    pub task: i32,
    /// What its parents left, in the order of its `depends` (see [`Merge::parents`]).
    pub parents: Vec<Snapshot>,
    /// As the job says.
    pub on_conflict: OnConflict,
    /// The job's graph.
    pub is_ancestor: IsAncestor,
}

impl fmt::Debug for Join {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Join")
            .field("job", &self.job)
            .field("task", &self.task)
            .field("parents", &self.parents.len())
            .finish_non_exhaustive()
    }
}

/// Why a task has no input.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Its parents left different things (see [`super::describe`]). The task fails, for good.
    #[error("parents left different files at {} paths", .0.len())]
    Conflict(Vec<Conflict>),
    /// A tree is damaged, hostile, or too large. The task fails.
    #[error("the parents' files cannot be merged")]
    Tree(#[from] TreeError),
    /// A blob cannot be had. [`BlobError::Store`] may pass; a missing or damaged one is lost.
    #[error("the parents' files cannot be had")]
    Blob(#[from] BlobError),
}

/// Merges at joins. Cheap to clone; all clones share one memory.
#[derive(Clone, Debug)]
pub struct Joins {
    blobs: Blobs,
    memory: Arc<Mutex<Memory>>,
}

/// What a merge depends on. The task matters only where it may become a writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    job: Uuid,
    parents: Vec<Snapshot>,
    prefer: Option<i32>,
}

/// A merge that was worked out.
#[derive(Debug)]
struct Made {
    snapshot: Snapshot,
    /// Nodes that no parent has: no snapshot that is kept holds them.
    nodes: Vec<Digest>,
}

#[derive(Debug, Default)]
struct Memory {
    cells: HashMap<Key, Arc<OnceCell<Made>>>,
    order: VecDeque<Key>,
}

impl Joins {
    /// Merges over the nodes of `blobs`, and keeps new ones there.
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs, memory: Arc::default() }
    }

    /// What the joining task starts from. The same join asked for by several tasks at a time is
    /// worked out once.
    pub async fn merge(&self, mut join: Join) -> Result<Snapshot, MergeError> {
        let prefer = match join.on_conflict {
            OnConflict::Fail => {
                join.parents.sort_unstable();
                join.parents.dedup();
                None
            }
            OnConflict::PreferLast => Some(join.task),
        };
        if let [only] = join.parents.as_slice() {
            return Ok(*only);
        }
        let key = Key { job: join.job, parents: join.parents.clone(), prefer };
        let cell = self.memory.lock().unwrap_or_else(PoisonError::into_inner).cell(key);
        Ok(cell.get_or_try_init(|| self.work_out(join)).await?.snapshot)
    }

    /// Keeps the remembered merges from being collected: tasks may still run in them.
    pub(super) async fn touch(&self) -> Result<(), BlobError> {
        let cells: Vec<_> = {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.cells.values().cloned().collect()
        };
        for made in cells.iter().filter_map(|cell| cell.get()) {
            self.blobs.find_missing(&made.nodes).await?;
        }
        Ok(())
    }

    async fn work_out(&self, join: Join) -> Result<Made, MergeError> {
        let mut nodes = Nodes::default();
        loop {
            let (back, step) = step(nodes, join.clone()).await;
            nodes = back;
            match step? {
                Step::Need(digests) => {
                    for (digest, bytes) in self.blobs.read_all(digests).await? {
                        nodes.insert(digest, bytes)?;
                    }
                }
                Step::Done(Merged::Conflict(conflicts)) => {
                    return Err(MergeError::Conflict(conflicts));
                }
                Step::Done(Merged::Clean { snapshot, nodes, resolved }) => {
                    debug!(job.id = %join.job, task = join.task, made = nodes.len(),
                        resolved = resolved.len(), "parents merged");
                    let made = nodes.iter().map(|(digest, _)| *digest).collect();
                    self.blobs.put_all(nodes).await?;
                    crash::point("join.merged");
                    return Ok(Made { snapshot, nodes: made });
                }
            }
        }
    }
}

/// One step of the merge, off the threads that serve.
async fn step(mut nodes: Nodes, join: Join) -> (Nodes, Result<Step<Merged>, TreeError>) {
    off(move || {
        let is_ancestor = |a, b| (join.is_ancestor)(a, b);
        let Join { ref parents, task, on_conflict, .. } = join;
        let request = Merge { parents, task, on_conflict, is_ancestor: &is_ancestor };
        let step = merge(&mut nodes, &request);
        (nodes, step)
    })
    .await
}

/// Runs blocking `work` off the threads that serve.
pub(super) async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and drops this future as well.
            Err(_) => std::future::pending().await,
        },
    }
}

impl Memory {
    fn cell(&mut self, key: Key) -> Arc<OnceCell<Made>> {
        if let Some(cell) = self.cells.get(&key) {
            return cell.clone();
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.cells.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.cells.entry(key).or_default().clone()
    }
}
