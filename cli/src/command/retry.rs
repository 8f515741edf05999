//! `postq retry JOB [TASK...]`, and of many by a filter.

use clap::Args;
use postq_proto::v1::{RetryJobRequest, RetryJobsRequest, RetryJobsResponse, job::State};
use uuid::Uuid;

use super::submit::rate;
use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::Output,
};

/// Make a new job of one that has ended, in which what failed, was skipped or was cancelled runs again
/// with all that comes after it, and print its id. The rest is carried over with its results and files.
#[derive(Args, Debug)]
pub struct Retry {
    /// The job's id.
    #[arg(required_unless_present_any = ["filter", "queue"], conflicts_with_all = ["filter", "queue"])]
    job: Option<String>,
    /// Tasks that run again although they succeeded.
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Which jobs, and how fast.
#[derive(Args, Debug)]
struct Many {
    /// All that have failed, were not retried yet, and whose attributes this holds for, such as
    /// '$.team == "data"'.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// The same of this queue; with --filter, of those only these.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// With --filter or --queue: those that were cancelled, too.
    #[arg(long, conflicts_with = "job")]
    cancelled: bool,
    /// With --filter or --queue: at most this many, the newest first.
    #[arg(long, default_value_t = 1000, value_name = "COUNT", conflicts_with = "job",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    max: i32,
    /// With --filter or --queue: so many new jobs begin per second, the first at once; without it all at
    /// once.
    #[arg(long, value_name = "PER SECOND", conflicts_with = "job", allow_negative_numbers = true,
          value_parser = rate)]
    rate: Option<f64>,
}

impl Retry {
    /// Sends it. One job is retried under an id minted here, so that it may be sent twice; of many,
    /// those that were retried are passed over.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let Some(id) = self.job else {
            let answer = self.many.run(&coordinator).await?;
            self.output.print(&answer, new_jobs)?;
            return Ok(Exit::Success);
        };
        let new_id = Uuid::now_v7().to_string();
        let request = RetryJobRequest { id, tasks: self.tasks, new_id };
        let answer = coordinator.jobs().retry_job(bounded(request)).await;
        let answer = answer
            .map_err(|status| Failure::from_status(&status, "retry the job", coordinator.url()))?;
        self.output.print(&answer.into_inner(), |answer| answer.id.clone())?;
        Ok(Exit::Success)
    }
}

impl Many {
    async fn run(self, coordinator: &Coordinator) -> Result<RetryJobsResponse, Failure> {
        let cancelled = self.cancelled.then_some(State::Cancelled);
        let states = [Some(State::Failed), cancelled].into_iter().flatten();
        let request = RetryJobsRequest {
            filter: self.filter.unwrap_or_default(),
            queue: self.queue.unwrap_or_default(),
            states: states.map(Into::into).collect(),
            max_count: self.max,
            rate: self.rate.unwrap_or_default(),
        };
        let answer = coordinator.jobs().retry_jobs(bounded(request)).await;
        answer
            .map(|answer| answer.into_inner())
            .map_err(|status| Failure::from_status(&status, "retry the jobs", coordinator.url()))
    }
}

fn new_jobs(answer: &RetryJobsResponse) -> String {
    match answer.retried.as_slice() {
        [] => "no job to retry".to_owned(),
        all => all.iter().map(|one| one.new_job_id.clone()).collect::<Vec<_>>().join("\n"),
    }
}
