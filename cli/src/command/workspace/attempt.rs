//! `postq workspace checkout|snapshot ATTEMPT DIR`: the files of an attempt, for language workers.

use std::path::PathBuf;

use clap::Args;
use postq_agent::workspace::{Rules, Workspace as Remote};
use postq_proto::v1::{Assignment, GetSnapshotRequest};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// An attempt that has not ended, and its directory.
#[derive(Args, Debug)]
struct Which {
    /// The attempt's id, as its worker was told.
    attempt: i64,
    /// Its directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Write the files an attempt starts from into an empty or new directory.
#[derive(Args, Debug)]
pub struct Checkout {
    #[command(flatten)]
    which: Which,
}

/// Keep what an attempt has made of its directory, and print the snapshot for its report.
#[derive(Args, Debug)]
pub struct Snapshot {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

impl Checkout {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.which.connection.open()?;
        let assignment = assignment(&coordinator, self.which.attempt).await?;
        let input = assignment.input.unwrap_or_default();
        files::download(&coordinator, &input, &self.which.dir).await?;
        Ok(Exit::Success)
    }
}

impl Snapshot {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.which.connection.open()?;
        let assignment = assignment(&coordinator, self.which.attempt).await?;
        let input = assignment.input.clone().unwrap_or_default();
        let remote = Remote::over(coordinator.channel());
        let refused = |error| files::refused("keep the files", &error, &coordinator);
        let rules = Rules::of(&assignment).map_err(refused)?;
        let (dir, task) = (&self.which.dir, assignment.task);
        // It is a large future, and rare.
        let taken =
            Box::pin(remote.snapshot_by(&input, dir, task, rules)).await.map_err(refused)?;
        files::warn(&taken);
        self.output.print(&taken.snapshot, |_| taken.digest.clone())?;
        Ok(Exit::Success)
    }
}

async fn assignment(coordinator: &Coordinator, attempt: i64) -> Result<Assignment, Failure> {
    let request = GetSnapshotRequest { attempt, ..GetSnapshotRequest::default() };
    let answer = coordinator.workspaces().get_snapshot(bounded(request)).await;
    let answer = answer
        .map_err(|status| Failure::from_status(&status, "find the attempt", coordinator.url()))?;
    Ok(answer.into_inner().assignment.unwrap_or_default())
}
