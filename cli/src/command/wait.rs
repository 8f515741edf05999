//! `postq wait JOB...`.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use postq_proto::v1::{Job, ListJobsResponse, job::State};

use crate::{
    client::{Connection, Coordinator},
    failure::{Exit, Failure},
    output::Output,
    watch::{feed, words},
};

/// Wait until jobs have ended, and say how.
#[derive(Args, Debug)]
pub struct Wait {
    /// The jobs' ids.
    #[arg(required = true)]
    jobs: Vec<String>,
    /// Give up after this time, as 90s, 15m or 1h 30m.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    timeout: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Wait {
    /// Waits for all of them, in whatever order they end.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let all =
            futures::future::try_join_all(self.jobs.iter().map(|job| end_of(&coordinator, job)));
        let jobs = match self.timeout {
            None => all.await?,
            Some(limit) => tokio::time::timeout(limit, all).await.map_err(|_| {
                let length = humantime::format_duration(limit);
                Failure::new(Exit::TimedOut, format!("not all jobs have ended within {length}"))
            })??,
        };
        let is_success = jobs.iter().all(|job| job.state() == State::Succeeded);
        let answer = ListJobsResponse { jobs, ..ListJobsResponse::default() };
        self.output.print(&answer, text)?;
        Ok(if is_success { Exit::Success } else { Exit::JobFailed })
    }
}

/// The job as it is once it has ended, without its tasks.
async fn end_of(coordinator: &Coordinator, id: &str) -> Result<Job, Failure> {
    let mut changes = feed::changes(coordinator.clone(), id);
    let mut job = Job::default();
    while let Some(told) = changes.next().await.transpose()? {
        job = told.job.unwrap_or(job);
    }
    Ok(job)
}

fn text(answer: &ListJobsResponse) -> String {
    let line = |job: &Job| match job.reason.as_str() {
        "" => format!("{} {}", job.id, words::job_state(job.state())),
        reason => format!("{} {}: {reason}", job.id, words::job_state(job.state())),
    };
    answer.jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_has_a_line_that_says_how_it_ended() {
        let job = |id: &str, state, reason: &str| {
            let mut job = Job { id: id.into(), reason: reason.into(), ..Job::default() };
            job.set_state(state);
            job
        };
        let jobs = vec![job("1", State::Succeeded, ""), job("2", State::Failed, "expired")];
        let answer = ListJobsResponse { jobs, ..ListJobsResponse::default() };
        assert_eq!(text(&answer), "1 succeeded\n2 failed: expired");
    }
}
