//! `postq cancel JOB...`.

use clap::Args;
use postq_proto::v1::{CancelJobRequest, CancelJobResponse, CancelJobsRequest, CancelJobsResponse};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::Output,
    watch::words,
};

/// Cancel jobs: what has not started ends at once, what runs is asked to stop.
#[derive(Args, Debug)]
pub struct Cancel {
    /// The jobs' ids. Of several, those that are not there or have ended are left alone.
    #[arg(required_unless_present_any = ["filter", "queue"], conflicts_with_all = ["filter", "queue"])]
    jobs: Vec<String>,
    /// All jobs whose attributes this holds for, such as '$.team == "data" && $.size > 3'.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// All jobs of this queue; with --filter, of those only these.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// With --filter or --queue: only those that have not started.
    #[arg(long, conflicts_with = "jobs")]
    waiting: bool,
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
        match self.jobs.as_slice() {
            [job] => {
                let answer = self.one(&coordinator, job).await?;
                self.output.print(&answer, |answer| text(job, answer))?;
            }
            _ => {
                let answer = self.many(&coordinator).await?;
                self.output.print(&answer, text_of_many)?;
            }
        }
        Ok(Exit::Success)
    }

    async fn one(
        &self,
        coordinator: &Coordinator,
        job: &str,
    ) -> Result<CancelJobResponse, Failure> {
        let request = CancelJobRequest { id: job.to_owned(), reason: self.reason.clone() };
        let answer = coordinator.jobs().cancel_job(bounded(request)).await;
        answer
            .map(|answer| answer.into_inner())
            .map_err(|status| Failure::from_status(&status, "cancel the job", coordinator.url()))
    }

    async fn many(&self, coordinator: &Coordinator) -> Result<CancelJobsResponse, Failure> {
        let request = CancelJobsRequest {
            ids: self.jobs.clone(),
            filter: self.filter.clone().unwrap_or_default(),
            queue: self.queue.clone().unwrap_or_default(),
            waiting_only: self.waiting,
            reason: self.reason.clone(),
        };
        let answer = coordinator.jobs().cancel_jobs(bounded(request)).await;
        answer
            .map(|answer| answer.into_inner())
            .map_err(|status| Failure::from_status(&status, "cancel the jobs", coordinator.url()))
    }
}

fn text_of_many(answer: &CancelJobsResponse) -> String {
    match answer.requested {
        0 => "no job to cancel".to_owned(),
        1 => "1 job is being cancelled".to_owned(),
        count => format!("{count} jobs are being cancelled"),
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
