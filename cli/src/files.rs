//! The files of jobs, to and from a coordinator.
//!
//! Invariant: nothing is written into a directory that holds something already.

use std::path::Path;

use postq_agent::workspace::{Workspace, WorkspaceError};
use postq_proto::v1::{GetSnapshotRequest, Snapshot};

use crate::{
    client::{Coordinator, bounded},
    failure::{Exit, Failure, chain},
};

/// Keeps `directory` as the first files of a job; gives the digest for its `input`.
pub async fn upload(coordinator: &Coordinator, directory: &Path) -> Result<String, Failure> {
    if !directory.is_dir() {
        let line = format!("--workspace {}: not a directory; name one", directory.display());
        return Err(Failure::new(Exit::NotFound, line));
    }
    let verb = format!("upload {}", directory.display());
    let taken = Workspace::over(coordinator.channel()).upload_dir(directory).await;
    let taken = taken.map_err(|error| refused(&verb, &error, coordinator))?;
    for warning in &taken.warnings {
        eprintln!("postq: {warning}");
    }
    Ok(taken.digest)
}

/// What a task left, or with no task's name what the whole job left.
pub async fn snapshot(
    coordinator: &Coordinator,
    job: &str,
    task: &str,
) -> Result<Snapshot, Failure> {
    let request = GetSnapshotRequest { job_id: job.to_owned(), task: task.to_owned() };
    let answer = coordinator.workspaces().get_snapshot(bounded(request)).await;
    let answer = answer
        .map_err(|status| Failure::from_status(&status, "get the files", coordinator.url()))?;
    Ok(answer.into_inner().snapshot.unwrap_or_default())
}

/// Writes a snapshot into `directory`, which is made where it is missing.
pub async fn download(
    coordinator: &Coordinator,
    snapshot: &Snapshot,
    directory: &Path,
) -> Result<(), Failure> {
    let verb = format!("write files to {}", directory.display());
    let workspace = Workspace::over(coordinator.channel());
    // It is a large future, and rare.
    Box::pin(workspace.download(snapshot, directory))
        .await
        .map_err(|error| refused(&verb, &error, coordinator))
}

/// The failure behind an error of the workspace.
pub fn refused(verb: &str, error: &WorkspaceError, coordinator: &Coordinator) -> Failure {
    let exit = match error {
        WorkspaceError::Remote { source, .. } | WorkspaceError::Lost(source) => {
            return Failure::from_status(source, verb, coordinator.url());
        }
        WorkspaceError::Io { .. } | WorkspaceError::Changed { .. } => Exit::Machine,
        WorkspaceError::NotEmpty { .. } | WorkspaceError::Unfit { .. } => Exit::Invalid,
        WorkspaceError::Late { .. } => Exit::Unreachable,
        _ => Exit::Server,
    };
    Failure::new(exit, format!("cannot {verb}: {}", chain(error)))
}
