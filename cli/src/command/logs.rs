//! `postq logs JOB`.

use std::io::{self, Write};

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use postq_proto::v1::{ReadLogsRequest, ReadLogsResponse, read_logs_response::Stream};

use crate::{
    client::{Connection, Coordinator},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::{Lines, escapes::Escapes, feed},
};

/// Print what the tasks of a job wrote.
#[derive(Args, Debug)]
pub struct Logs {
    /// The job's id.
    job: String,
    /// Only this task; may be repeated. With a single one its output is printed as it is, what it
    /// wrote to standard error on standard error.
    #[arg(long, value_name = "NAME")]
    task: Vec<String>,
    /// Only this attempt.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    attempt: i64,
    /// Stay until the job has ended.
    #[arg(long, short)]
    follow: bool,
    /// Only the last lines of each attempt (with `--follow`: and what comes after them).
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(i32).range(1..))]
    tail: Option<i32>,
    /// Without colours and other control characters that are for terminals.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Logs {
    /// Prints until the end of the output, or of the job.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        if self.output.is_json() {
            self.print_json(&coordinator).await?;
        } else if self.task.len() == 1 {
            self.print_raw(&coordinator).await?;
        } else {
            self.print_lines(&coordinator).await?;
        }
        Ok(Exit::Success)
    }

    fn chunks(
        &self,
        coordinator: &Coordinator,
    ) -> impl futures::Stream<Item = Result<ReadLogsResponse, Failure>> + Unpin + use<> {
        let request = ReadLogsRequest {
            job_id: self.job.clone(),
            tasks: self.task.clone(),
            attempt: self.attempt,
            follow: self.follow,
            tail_lines: self.tail.unwrap_or_default(),
            ..ReadLogsRequest::default()
        };
        let mut escapes = self.plain.then(Escapes::default);
        feed::logs(coordinator.clone(), request).map_ok(move |chunk| match &mut escapes {
            Some(escapes) => escapes.strip(chunk),
            None => chunk,
        })
    }

    /// One JSON document per chunk, each on a line.
    async fn print_json(&self, coordinator: &Coordinator) -> Result<(), Failure> {
        let mut chunks = self.chunks(coordinator);
        while let Some(chunk) = chunks.next().await {
            let line = serde_json::to_string(&chunk?)
                .map_err(|error| Failure::new(Exit::Server, error.to_string()))?;
            output::print(&line)?;
        }
        Ok(())
    }

    async fn print_raw(&self, coordinator: &Coordinator) -> Result<(), Failure> {
        let mut chunks = self.chunks(coordinator);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            match chunk.stream() {
                Stream::Stderr | Stream::System => {
                    // Who closed standard error does not want to know.
                    let _ = io::stderr().write_all(&chunk.data);
                }
                Stream::Stdout | Stream::Unspecified => output::print_bytes(&chunk.data)?,
            }
        }
        Ok(())
    }

    async fn print_lines(&self, coordinator: &Coordinator) -> Result<(), Failure> {
        let mut chunks = self.chunks(coordinator);
        let mut lines = Lines::default();
        while let Some(chunk) = chunks.next().await {
            let whole = lines.take(&chunk?);
            if !whole.is_empty() {
                output::print(&whole.join("\n"))?;
            }
        }
        let rest = lines.flush();
        if rest.is_empty() { Ok(()) } else { output::print(&rest.join("\n")) }
    }
}
