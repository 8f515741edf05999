//! `postq ls`.

use clap::Args;
use postq_proto::v1::{Job, ListJobsRequest, ListJobsResponse, job::State};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::words,
};

/// What the server gives in one answer at most.
const PAGE: usize = 1000;

/// List jobs, newest first.
#[derive(Args, Debug)]
pub struct Ls {
    /// Only jobs in this state; may be repeated.
    #[arg(long, value_parser = words::parse_job_state, value_name = "STATE")]
    state: Vec<State>,
    /// Only jobs of this queue.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    queue: String,
    /// Only jobs whose attributes this holds for, such as '$.team == "data" && $.size > 3'.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
    filter: String,
    /// Only this job; may be repeated.
    #[arg(long, value_name = "JOB")]
    id: Vec<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Ls {
    /// Reads as many pages as it takes.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let answer = self.read(&coordinator).await?;
        self.output.print(&answer, text)?;
        Ok(Exit::Success)
    }

    async fn read(&self, coordinator: &Coordinator) -> Result<ListJobsResponse, Failure> {
        let mut all = ListJobsResponse::default();
        loop {
            let wanted = (self.limit - all.jobs.len()).min(PAGE);
            if wanted == 0 {
                return Ok(all);
            }
            let request = ListJobsRequest {
                states: self.state.iter().map(|&state| state.into()).collect(),
                queue: self.queue.clone(),
                page_size: i32::try_from(wanted).unwrap_or(i32::MAX),
                page_token: all.next_page_token,
                filter: self.filter.clone(),
                ids: self.id.clone(),
            };
            let page = coordinator.jobs().list_jobs(bounded(request)).await;
            let page = page
                .map_err(|status| Failure::from_status(&status, "list jobs", coordinator.url()))?
                .into_inner();
            all.jobs.extend(page.jobs);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                return Ok(all);
            }
        }
    }
}

fn text(answer: &ListJobsResponse) -> String {
    if answer.jobs.is_empty() {
        return "no jobs".to_owned();
    }
    let mut table = output::table(["id", "name", "queue", "state", "tasks", "created", "took"]);
    for job in &answer.jobs {
        table.add_row(row(job));
    }
    let more = if answer.next_page_token.is_empty() { "" } else { "\n(more; see --limit)" };
    format!("{}{more}", output::lines_of(&table))
}

fn row(job: &Job) -> [String; 7] {
    let took = output::between(job.started_at.as_ref(), job.finished_at.as_ref());
    [
        job.id.clone(),
        job.name.clone(),
        job.queue.clone(),
        words::job_state(job.state()),
        format!("{}/{}", job.task_count - job.open_tasks, job.task_count),
        output::time(job.created_at.as_ref()),
        took.map_or("-".to_owned(), output::duration),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_list_says_that_there_is_more() {
        let jobs = vec![Job { id: "1".into(), task_count: 3, open_tasks: 1, ..Job::default() }];
        let mut answer = ListJobsResponse { jobs, next_page_token: "t".into() };
        assert!(text(&answer).ends_with("(more; see --limit)"));
        assert!(text(&answer).contains("2/3"));
        answer.next_page_token.clear();
        assert!(!text(&answer).contains("more"));
    }
}
