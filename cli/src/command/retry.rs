//! `postq retry JOB [TASK...]`.

use clap::Args;
use postq_proto::v1::RetryJobRequest;
use uuid::Uuid;

use crate::{
    client::{Connection, bounded},
    failure::{Exit, Failure},
    output::Output,
};

/// Make a new job of one that has ended, in which what failed, was skipped or was cancelled runs again
/// with all that comes after it, and print its id. The rest is carried over with its results and files.
#[derive(Args, Debug)]
pub struct Retry {
    /// The job's id.
    job: String,
    /// Tasks that run again although they succeeded.
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Retry {
    /// Sends it under an id minted here, so that it may be sent twice.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let new_id = Uuid::now_v7().to_string();
        let request = RetryJobRequest { id: self.job, tasks: self.tasks, new_id };
        let answer = coordinator.jobs().retry_job(bounded(request)).await;
        let answer = answer
            .map_err(|status| Failure::from_status(&status, "retry the job", coordinator.url()))?;
        self.output.print(&answer.into_inner(), |answer| answer.id.clone())?;
        Ok(Exit::Success)
    }
}
