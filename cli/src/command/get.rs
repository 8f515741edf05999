//! `postq get JOB`.

use clap::Args;
use postq_proto::v1::{GetJobRequest, GetJobResponse, Job, ListTasksRequest, Task};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::{Board, summary, words},
};

/// Show a job and its tasks.
#[derive(Args, Debug)]
pub struct Get {
    /// The job's id.
    job: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Get {
    /// Reads the job, and all tasks where one answer does not hold them.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let answer = read(&coordinator, &self.job).await?;
        self.output.print(&answer, text)?;
        Ok(Exit::Success)
    }
}

/// The job with all its tasks.
pub async fn read(coordinator: &Coordinator, id: &str) -> Result<GetJobResponse, Failure> {
    let request = GetJobRequest { id: id.to_owned() };
    let answer = coordinator.jobs().get_job(bounded(request)).await;
    let mut answer = answer
        .map_err(|status| Failure::from_status(&status, "get the job", coordinator.url()))?
        .into_inner();
    if let Some(job) = answer.job.as_mut().filter(|job| job.tasks_truncated) {
        let tasks = read_tasks(coordinator, id).await?;
        job.tasks = tasks.into_iter().map(|task| (task.name.clone(), task)).collect();
        job.tasks_truncated = false;
    }
    Ok(answer)
}

async fn read_tasks(coordinator: &Coordinator, id: &str) -> Result<Vec<Task>, Failure> {
    let mut tasks = Vec::new();
    let mut request =
        ListTasksRequest { job_id: id.to_owned(), page_size: 1000, ..Default::default() };
    loop {
        let page = coordinator.jobs().list_tasks(bounded(request.clone())).await;
        let page = page
            .map_err(|status| Failure::from_status(&status, "list tasks", coordinator.url()))?
            .into_inner();
        tasks.extend(page.tasks);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(tasks);
        }
    }
}

fn text(answer: &GetJobResponse) -> String {
    let Some(job) = &answer.job else { return "the coordinator sent no job".to_owned() };
    let mut board = Board::default();
    board.take_tasks(job.tasks.values().cloned());
    format!("{}\n\n{}", heading(job), summary::table(&board, usize::MAX))
}

fn heading(job: &Job) -> String {
    let took = output::between(job.started_at.as_ref(), job.finished_at.as_ref());
    let rows = [
        ("job", job.id.clone()),
        ("name", job.name.clone()),
        ("queue", job.queue.clone()),
        ("state", words::job_state(job.state())),
        ("reason", job.reason.clone()),
        ("retry of", job.retry_of.clone()),
        ("tasks", format!("{} of {} ended", job.task_count - job.open_tasks, job.task_count)),
        ("created", output::time(job.created_at.as_ref())),
        ("started", output::time(job.started_at.as_ref())),
        ("finished", output::time(job.finished_at.as_ref())),
        ("took", took.map(output::duration).unwrap_or_default()),
    ];
    let told = rows.into_iter().filter(|(_, value)| !value.is_empty() && value != "-");
    told.map(|(name, value)| format!("{name:9} {value}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_shown() {
        let job = Job { id: "7".into(), task_count: 2, open_tasks: 2, ..Job::default() };
        let heading = heading(&job);
        assert!(heading.starts_with("job       7\n"));
        assert!(!heading.contains("finished"));
    }
}
