//! `postq workspace`: the files of jobs. One file per sub-command.

mod artifacts;
mod attempt;
mod diff;
mod get;
mod ls;
mod put;
mod shell;
mod which;

use clap::Subcommand;

use crate::failure::{Exit, Failure};

/// Look at the files of a job.
#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// List files.
    Ls(ls::Ls),
    /// Write files to a directory or an archive, or one file to standard output.
    Get(get::Get),
    /// Show which files a task changed.
    Diff(diff::Diff),
    /// Upload a directory, and print the digest for a job's `input`.
    Put(put::Put),
    /// Open a shell in the files that a task starts from.
    Shell(shell::Shell),
    /// List the files that stay when their jobs are forgotten, or give some of them up.
    Artifacts(artifacts::Artifacts),
    /// For workers: write the files an attempt starts from.
    Checkout(attempt::Checkout),
    /// For workers: keep what an attempt has made of its files.
    Snapshot(attempt::Snapshot),
}

impl Workspace {
    /// Carries it out.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Ls(ls) => ls.run().await,
            Self::Get(get) => get.run().await,
            Self::Diff(diff) => diff.run().await,
            Self::Put(put) => put.run().await,
            Self::Shell(shell) => shell.run().await,
            Self::Artifacts(artifacts) => artifacts.run().await,
            Self::Checkout(checkout) => checkout.run().await,
            Self::Snapshot(snapshot) => snapshot.run().await,
        }
    }
}
