//! Whose files, and which of them.

use clap::Args;
use postq_agent::workspace::{Listed, Workspace as Remote};
use postq_common::tree::Kind;
use postq_proto::v1::Snapshot;

use crate::{
    client::{Connection, Coordinator},
    failure::{Exit, Failure},
    files,
};

/// Whose files, and which.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The job's id: what the job left; JOB/TASK: what the task left.
    #[arg(value_name = "JOB[/TASK]")]
    pub(super) of: String,
    /// Only this file, or what is below this directory.
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) path: String,
    /// Of the job's files only those that stay when it is forgotten.
    #[arg(long)]
    artifacts: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The files asked for.
pub(super) struct Found {
    pub(super) coordinator: Coordinator,
    pub(super) snapshot: Snapshot,
    pub(super) entries: Vec<Listed>,
    path: Vec<u8>,
}

impl Which {
    pub(super) async fn find(&self) -> Result<Found, Failure> {
        let coordinator = self.connection.open()?;
        let (job, task) = self.of.split_once('/').unwrap_or((&self.of, ""));
        if self.artifacts && !task.is_empty() {
            let line = format!("{}: a task has no artifacts; write JOB", self.of);
            return Err(Failure::new(Exit::Invalid, line));
        }
        let snapshot = match self.artifacts {
            true => files::artifacts(&coordinator, job).await?,
            false => files::snapshot(&coordinator, job, task).await?,
        };
        let listed = Remote::over(coordinator.channel()).list(&snapshot).await;
        let mut entries =
            listed.map_err(|error| files::refused("list files", &error, &coordinator))?;
        let path = self.path.trim_matches('/').as_bytes().to_vec();
        entries.retain(|entry| is_within(&entry.path, &path));
        if entries.is_empty() && !path.is_empty() {
            let line =
                format!("{} has no file {}; see `postq workspace ls {0}`", self.of, self.path);
            return Err(Failure::new(Exit::NotFound, line));
        }
        Ok(Found { coordinator, snapshot, entries, path })
    }
}

impl Found {
    /// What stands at the path asked for; `None` for the root.
    pub(super) fn kind(&self) -> Option<&Kind> {
        self.entries.iter().find(|entry| entry.path == self.path).map(|entry| &entry.kind)
    }
}

fn is_within(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    above.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_selects_itself_and_what_is_below() {
        assert!(is_within(b"a/b", b"a"));
        assert!(is_within(b"a", b"a"));
        assert!(is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a"));
    }
}
