//! The way to the workspace: a snapshot into a directory, a directory into a snapshot.
//!
//! Invariant: a coordinator that is away fails no attempt; whoever tires of waiting drops the
//! future.

use std::{error::Error, fmt, path::Path};

use postq_proto::v1;
use postq_runtime::channel::Channel;
use tokio::sync::watch;
use tonic::Code;
use tracing::{debug, warn};

use super::disk;
use crate::{
    config::FileLimits,
    workspace::{Effort, Rules, Taken, Workspace, WorkspaceError},
};

/// Why the files of a task could not be fetched.
#[derive(Debug)]
pub(crate) enum Unfetched {
    /// The agent's own disk does not take them.
    NoDisk(String),
    /// The store does not have them (any more).
    Lost(String),
    /// Anything else.
    Failed(String),
}

/// Fetches and keeps the files of tasks.
#[derive(Clone)]
pub(crate) struct Files {
    workspace: Workspace,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

impl Files {
    /// Goes over whatever channel is the newest. Directories of finished tasks are kept in
    /// `cache_dir` for the next ones; a disk that is full at this moment costs the cache, not the
    /// agent. Blocks on the disk.
    pub(crate) fn open(
        channel: watch::Receiver<Channel>,
        limits: FileLimits,
        cache_dir: &Path,
    ) -> Self {
        let plain = Workspace::new(channel).with_limits(limits.workspace);
        let cached = plain.clone().with_cache(cache_dir, limits.cache_bytes);
        let workspace = cached.unwrap_or_else(|error| {
            warn!(%error, "no directory is kept for later tasks until the next start");
            plain
        });
        Self { workspace }
    }

    /// Fills the empty directory `dir`.
    pub(crate) async fn checkout(&self, input: &v1::Snapshot, dir: &Path) -> Result<(), Unfetched> {
        loop {
            // Boxed, because it is large and an attempt's future is one of many.
            match Box::pin(self.workspace.checkout(input, dir)).await {
                Ok(()) => return Ok(()),
                Err(error) if is_away(&error) => {
                    warn!(%error, "waiting for a coordinator with the files of the task");
                    let emptied = tokio::task::block_in_place(|| crate::scratch::empty(dir));
                    emptied.map_err(|error| Unfetched::NoDisk(error.to_string()))?;
                }
                Err(error) if disk::is_to_blame(&error) => {
                    return Err(Unfetched::NoDisk(chain(&error)));
                }
                Err(WorkspaceError::Lost(status)) => {
                    return Err(Unfetched::Lost(status.message().to_owned()));
                }
                Err(error) => return Err(Unfetched::Failed(chain(&error))),
            }
        }
    }

    /// Fetches what a task may start from that is not given to this agent yet. It may fail: then whoever
    /// starts from it fetches it.
    pub(crate) fn prefetch(&self, input: &v1::Snapshot) -> impl Future<Output = ()> + use<> {
        let fetched = Box::pin(self.workspace.prefetch(input));
        async move {
            if let Err(error) = fetched.await {
                debug!(error = chain(&error), "files are not fetched ahead");
            }
        }
    }

    /// Stops that.
    pub(crate) fn stop_prefetch(&self) {
        self.workspace.stop_prefetch();
    }

    /// What it took to fill `dir`.
    pub(crate) fn effort_of(&self, dir: &Path) -> Option<Effort> {
        self.workspace.effort_of(dir)
    }

    /// Keeps what the task has made of `input` in `dir`; all of it is durable when this returns.
    pub(crate) async fn snapshot(
        &self,
        assignment: &v1::Assignment,
        input: &v1::Snapshot,
        dir: &Path,
    ) -> Result<Taken, String> {
        let rules = Rules::of(assignment).map_err(|error| chain(&error))?;
        loop {
            let taken = self.workspace.snapshot_by(input, dir, assignment.task, rules.clone());
            match Box::pin(taken).await {
                Ok(taken) => return Ok(taken),
                Err(error) if is_away(&error) => {
                    warn!(%error, "waiting for a coordinator that takes the files of the task");
                }
                Err(error) => return Err(chain(&error)),
            }
        }
    }
}

/// Nobody was reached in the two minutes that a call is tried: try on. (A coordinator that answers
/// with an error for as long will not do better.)
fn is_away(error: &WorkspaceError) -> bool {
    match error {
        WorkspaceError::Late { .. } => true,
        WorkspaceError::Remote { source, .. } => source.code() == Code::Unavailable,
        _ => false,
    }
}

/// The error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
