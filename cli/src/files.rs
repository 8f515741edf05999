//! The files of jobs, to and from a coordinator.
//!
//! Invariant: nothing is written into a directory that holds something already.

use std::{path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use postq_agent::workspace::{Rules, Taken, Workspace, WorkspaceError};
use postq_proto::v1::{GetSnapshotRequest, GetSnapshotResponse, Snapshot};

use crate::{
    client::{Coordinator, bounded},
    failure::{Exit, Failure, chain},
};

/// How often a progress bar moves.
const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// Keeps `directory` as the first files of a job; gives the digest for its `input`.
pub async fn upload(coordinator: &Coordinator, directory: &Path) -> Result<String, Failure> {
    if !directory.is_dir() {
        let line = format!("--workspace {}: not a directory; name one", directory.display());
        return Err(Failure::new(Exit::NotFound, line));
    }
    Ok(put(coordinator, directory, Rules::default()).await?.digest)
}

/// Keeps what `rules` choose of `directory`, and shows how far it is.
pub async fn put(
    coordinator: &Coordinator,
    directory: &Path,
    rules: Rules,
) -> Result<Taken, Failure> {
    let verb = format!("upload {}", directory.display());
    let workspace = Workspace::over(coordinator.channel());
    let progress = workspace.progress();
    // It is a large future, and rare.
    let mut upload = Box::pin(workspace.upload_dir_by(directory, rules));
    let bar = ProgressBar::new(0).with_style(bar_style());
    let mut period = tokio::time::interval(REDRAWN_EVERY);
    let taken = loop {
        tokio::select! {
            taken = &mut upload => break taken,
            _ = period.tick() => {
                let (done, all) = progress.sent();
                bar.set_length(all);
                bar.set_position(done);
            }
        }
    };
    bar.finish_and_clear();
    let taken = taken.map_err(|error| refused(&verb, &error, coordinator))?;
    warn(&taken);
    Ok(taken)
}

/// Says what was left out.
pub fn warn(taken: &Taken) {
    for warning in &taken.warnings {
        eprintln!("postq: {warning}");
    }
}

/// By itself hidden where standard error is no terminal.
fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What a task left, or with no task's name what the whole job left.
pub async fn snapshot(
    coordinator: &Coordinator,
    job: &str,
    task: &str,
) -> Result<Snapshot, Failure> {
    let (job_id, task) = (job.to_owned(), task.to_owned());
    get(coordinator, GetSnapshotRequest { job_id, task, ..Default::default() }).await
}

/// Those files of a job that stay when it is forgotten.
pub async fn artifacts(coordinator: &Coordinator, job: &str) -> Result<Snapshot, Failure> {
    let job_id = job.to_owned();
    get(coordinator, GetSnapshotRequest { job_id, artifacts: true, ..Default::default() }).await
}

async fn get(coordinator: &Coordinator, request: GetSnapshotRequest) -> Result<Snapshot, Failure> {
    let answer = coordinator.workspaces().get_snapshot(bounded(request)).await;
    let answer = answer
        .map_err(|status| Failure::from_status(&status, "get the files", coordinator.url()))?;
    Ok(answer.into_inner().snapshot.unwrap_or_default())
}

/// What a task starts from with what its agent is told, or with no task's name what the whole job
/// starts from.
pub async fn input(
    coordinator: &Coordinator,
    job: &str,
    task: &str,
) -> Result<GetSnapshotResponse, Failure> {
    let (job_id, task) = (job.to_owned(), task.to_owned());
    let request = GetSnapshotRequest { job_id, task, input: true, ..Default::default() };
    let answer = coordinator.workspaces().get_snapshot(bounded(request)).await;
    let answer = answer
        .map_err(|status| Failure::from_status(&status, "get the files", coordinator.url()))?;
    Ok(answer.into_inner())
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
        WorkspaceError::Io { .. }
        | WorkspaceError::SameName { .. }
        | WorkspaceError::Changed { .. } => Exit::Machine,
        WorkspaceError::NotEmpty { .. }
        | WorkspaceError::Unfit { .. }
        | WorkspaceError::TooMuch { .. }
        | WorkspaceError::BadPattern(_) => Exit::Invalid,
        WorkspaceError::Late { .. } => Exit::Unreachable,
        _ => Exit::Server,
    };
    Failure::new(exit, format!("cannot {verb}: {}", chain(error)))
}
