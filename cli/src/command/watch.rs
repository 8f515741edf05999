//! `postq watch`.

use clap::Args;
use futures::StreamExt;
use postq_proto::v1::{Job, WatchJobsRequest};
use tonic::{Request, Status};

use crate::{
    client::{Connection, Coordinator},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::words,
};

/// Watch the newest jobs that a filter or a queue chooses: a line for each as it is, and one whenever it
/// changes or another one comes. With -o json each line is a job.
#[derive(Args, Debug)]
pub struct Watch {
    /// Only jobs whose attributes this holds for, such as '$.team == "data" && $.size > 3'.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
    filter: String,
    /// Only jobs of this queue.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    queue: String,
    /// How many of the newest are looked at; older ones are watched until they end.
    #[arg(long, default_value_t = 100, value_name = "COUNT",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
    /// Leave as soon as none of them is open.
    #[arg(long)]
    until_ended: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Watch {
    /// Prints until none is open, if that is wanted.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let request = WatchJobsRequest {
            filter: self.filter,
            queue: self.queue,
            max_count: self.limit,
            until_ended: self.until_ended,
        };
        let failed = |status: Status| failure(&status, &coordinator);
        let answer = coordinator.jobs().watch_jobs(Request::new(request)).await;
        let mut looks = answer.map_err(failed)?.into_inner();
        while let Some(look) = looks.next().await {
            for job in look.map_err(failed)?.jobs {
                self.output.print_line(&job, line)?;
            }
        }
        Ok(Exit::Success)
    }
}

fn failure(status: &Status, coordinator: &Coordinator) -> Failure {
    Failure::from_status(status, "watch jobs", coordinator.url())
}

fn line(job: &Job) -> String {
    let ended = job.task_count - job.open_tasks;
    let reason = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
    let state = words::job_state(job.state());
    let time = output::time(
        job.finished_at.as_ref().or(job.started_at.as_ref()).or(job.created_at.as_ref()),
    );
    format!("{time} {} {} {state} {ended}/{}{reason}", job.id, job.name, job.task_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_a_job_is_and_why() {
        let job = Job {
            id: "1".into(),
            name: "sum".into(),
            reason: "expired".into(),
            task_count: 3,
            open_tasks: 1,
            ..Job::default()
        };
        assert!(line(&job).contains("1 sum "));
        assert!(line(&job).ends_with(" 2/3: expired"));
    }
}
