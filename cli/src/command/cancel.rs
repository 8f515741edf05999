//! `postq cancel JOB`.

use clap::Args;
use postq_proto::v1::{CancelJobRequest, CancelJobResponse};

use crate::{
    client::{Connection, bounded},
    failure::{Exit, Failure},
    output::Output,
    watch::words,
};

/// Cancel a job: what has not started ends at once, what runs is asked to stop.
#[derive(Args, Debug)]
pub struct Cancel {
    /// The job's id.
    job: String,
    /// Shown as the reason of what it ends.
    #[arg(long, default_value = "cancelled by postq cancel")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Cancel {
    /// Sends it; it may be sent twice.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let request = CancelJobRequest { id: self.job.clone(), reason: self.reason };
        let answer = coordinator.jobs().cancel_job(bounded(request)).await;
        let answer = answer
            .map_err(|status| Failure::from_status(&status, "cancel the job", coordinator.url()))?;
        self.output.print(&answer.into_inner(), |answer| text(&self.job, answer))?;
        Ok(Exit::Success)
    }
}

fn text(id: &str, answer: &CancelJobResponse) -> String {
    match &answer.job {
        Some(job) if job.finished_at.is_none() => {
            format!(
                "job {id} is being cancelled; {} still open",
                words::many(job.open_tasks, "task")
            )
        }
        Some(job) => format!("job {id} {}", words::job_state(job.state())),
        None => format!("job {id} is being cancelled"),
    }
}
