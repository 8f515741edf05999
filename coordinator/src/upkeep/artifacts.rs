//! What a job says that stays of its files is noted once it has ended, so that the rest, and then the
//! job itself, may go.

use std::sync::Arc;

use postq_common::{id::JobId, merge::OnConflict, patterns::Patterns, tree::Snapshot};
use tracing::info;

use crate::{
    errors,
    graphs::Graphs,
    store::{Artifacts, Roots, Store, StoreError},
    workspace::{BlobError, Blobs, Join, Joins, MergeError, describe},
};

/// Why nothing was noted; it may pass.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store does not answer.
    #[error(transparent)]
    Blobs(BlobError),
}

/// Notes artifacts.
#[derive(Clone, Debug)]
pub struct Keeper {
    store: Store,
    blobs: Blobs,
    joins: Joins,
    graphs: Graphs,
}

impl Keeper {
    /// Of jobs in `store`, whose files are in `blobs`.
    pub fn new(store: Store, blobs: Blobs, joins: Joins, graphs: Graphs) -> Self {
        Self { store, blobs, joins, graphs }
    }

    /// Notes what `patterns` choose of what a job that has ended left as a whole.
    pub async fn keep(&self, job: JobId, patterns: &[String]) -> Result<(), Unkept> {
        let artifacts = match self.choose(job, patterns).await {
            Ok(artifacts) => artifacts,
            Err(MergeError::Blob(error @ BlobError::Store { .. })) => {
                return Err(Unkept::Blobs(error));
            }
            Err(MergeError::Conflict(conflicts)) => {
                let names = self.store.task_names(job, None).await?;
                let name = |n| names.get(&n).cloned().unwrap_or_else(|| n.to_string());
                Artifacts::Nothing(describe(&conflicts, name))
            }
            Err(error) => Artifacts::Nothing(format!("files are lost: {}", errors::chain(&error))),
        };
        self.store.keep_artifacts(job, &artifacts).await?;
        info!(job.id = %job, ?artifacts, "artifacts kept");
        Ok(())
    }

    async fn choose(&self, job: JobId, patterns: &[String]) -> Result<Artifacts, MergeError> {
        let unread = |error: StoreError| MergeError::Blob(error.into());
        let patterns = match Patterns::new(patterns) {
            Ok(patterns) => Arc::new(patterns),
            Err(bad) => return Ok(Artifacts::Nothing(bad.to_string())),
        };
        let sinks = self.store.sinks(job).await.map_err(unread)?;
        let left = self.store.left_by(job, &sinks).await.map_err(unread)?;
        let parents: Result<Vec<_>, _> = left
            .iter()
            .map(|(_, it)| Snapshot::from_fields(&it.content, &it.provenance, &it.times))
            .collect();
        let Ok(parents) = parents else {
            return Ok(Artifacts::Nothing("a stored snapshot is damaged".into()));
        };
        let whole = match parents.is_empty() {
            true => Snapshot::default(),
            false => {
                let is_ancestor = self.graphs.of(job).await.map_err(unread)?;
                let (job, task, on_conflict) = (job.0, i32::MAX, OnConflict::Fail);
                let join = Join { job, task, parents, on_conflict, is_ancestor };
                self.joins.merge(join).await?
            }
        };
        let chosen = self.blobs.choose(whole, patterns).await?;
        let [content, provenance, times] = chosen.snapshot.to_fields();
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (files, bytes) = (count(chosen.measure.files), count(chosen.measure.bytes));
        Ok(Artifacts::Files { roots: Roots { content, provenance, times }, files, bytes })
    }
}
