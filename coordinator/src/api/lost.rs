//! Files that a retry needs and that are lost: who made them is found, so that it runs again.

use std::collections::HashSet;

use postq_common::{
    id::{JobId, TaskNumber},
    tree::Snapshot,
};
use tonic::Status;
use tracing::{error, warn};

use crate::{
    errors,
    store::{Roots, Store},
    wire::status,
    workspace::{Blobs, Whole},
};

/// Tasks whose files are looked up in one statement.
const PAGE: usize = 1000;

/// What is to run again when a job that has ended is retried, beside what did not succeed: those named,
/// and whoever left files that one of all these starts from and that are lost.
pub(super) async fn with_lost(
    store: &Store,
    blobs: &Blobs,
    job: JobId,
    mut names: Vec<String>,
) -> Result<Vec<String>, Status> {
    let (mut looked_at, mut whole) = (HashSet::new(), Whole::default());
    loop {
        let again = store.rerun_of(job, &names).await.map_err(status::of_store)?;
        looked_at.extend(again.iter().copied());
        let mut lost = Vec::new();
        for tasks in again.chunks(PAGE) {
            let tasks: Vec<_> = tasks.iter().map(|n| (job, TaskNumber(*n))).collect();
            let sources = store.sources(&tasks).await.map_err(status::of_store)?;
            for (n, roots) in sources.into_values().flatten() {
                // Nobody can make again what the job was given.
                if n >= 0 && looked_at.insert(n) && is_lost(blobs, &roots, &mut whole).await? {
                    lost.push(n);
                }
            }
        }
        if lost.is_empty() {
            return Ok(names);
        }
        let found = store.task_names(job, Some(&lost)).await.map_err(status::of_store)?;
        warn!(job.id = %job, tasks = ?found.values(), "files are lost; who made them runs again");
        names.extend(found.into_values());
    }
}

async fn is_lost(blobs: &Blobs, roots: &Roots, whole: &mut Whole) -> Result<bool, Status> {
    let snapshot = Snapshot::from_fields(&roots.content, &roots.provenance, &roots.times);
    let Ok(snapshot) = snapshot else { return Ok(true) };
    let is_whole = blobs.is_whole(&snapshot, whole).await.map_err(|error| {
        error!(error = errors::chain(&error), "cannot look whether files are lost");
        Status::unavailable(error.to_string())
    })?;
    Ok(!is_whole)
}
