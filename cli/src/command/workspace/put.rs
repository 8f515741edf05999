//! `postq workspace put DIR`: keeps a directory as the first files of a job.

use std::path::PathBuf;

use clap::Args;
use postq_agent::workspace::{Limits, Rules};
use serde::Serialize;

use crate::{
    client::Connection,
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// Upload a directory, and print the digest for a job's `input`.
#[derive(Args, Debug)]
pub struct Put {
    /// The directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Leave out what matches, as a line of .gitignore; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Answer {
    digest: String,
    entries: u64,
    bytes: u64,
    sent_bytes: u64,
}

impl Put {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let rules = Rules::new(&self.ignore, &[], Limits::default())
            .map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
        let coordinator = self.connection.open()?;
        let taken = files::put(&coordinator, &self.dir, rules).await?;
        let (digest, effort) = (taken.digest, taken.effort);
        let answer = Answer {
            digest,
            entries: effort.entries,
            bytes: effort.bytes,
            sent_bytes: effort.sent_bytes,
        };
        self.output.print(&answer, |answer| answer.digest.clone())?;
        Ok(Exit::Success)
    }
}
