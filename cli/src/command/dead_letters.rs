//! `postq dead-letters`.

use clap::{Args, Subcommand};
use postq_proto::v1::{
    DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse, PurgeDeadLettersRequest,
    PurgeDeadLettersResponse, RedriveDeadLettersRequest, RedriveDeadLettersResponse,
};
use tonic::Status;

use super::submit::rate;
use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::words,
};

/// What the server gives in one answer at most.
const PAGE: usize = 1000;
/// Characters of a reason in a table.
const REASON: usize = 60;

/// Look after tasks that used up their attempts, cannot succeed, or were not started in time.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, by queue and the oldest first; `-o json` has their arguments and attempts.
    Ls(List),
    /// Try them once more, as new jobs in which all that did not succeed runs again; print their ids.
    Redrive(Redrive),
    /// Remove them; their jobs stay as they are.
    Purge(Purge),
}

/// Which are listed.
#[derive(Args, Debug)]
pub struct List {
    /// Only those of this queue.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    queue: String,
    /// At most this many.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Which dead letters.
#[derive(Args, Debug)]
struct Choice {
    /// The ids of their jobs; those that have none are left alone.
    #[arg(value_name = "JOB", required_unless_present = "queue", conflicts_with = "queue")]
    jobs: Vec<String>,
    /// Those of this queue.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Which are tried again.
#[derive(Args, Debug)]
pub struct Redrive {
    #[command(flatten)]
    choice: Choice,
    /// With --queue: at most this many, the oldest first.
    #[arg(long, default_value_t = 100, value_name = "COUNT", conflicts_with = "jobs",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    max: i32,
    /// With --queue: only those whose job's attributes this holds for, such as '$.team == "data"'.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "jobs")]
    filter: Option<String>,
    /// So many new jobs begin per second, the first at once; without it all at once.
    #[arg(long, value_name = "PER SECOND", allow_negative_numbers = true, value_parser = rate)]
    rate: Option<f64>,
}

/// Which are removed.
#[derive(Args, Debug)]
pub struct Purge {
    #[command(flatten)]
    choice: Choice,
}

impl DeadLetters {
    /// Does it.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Ls(list) => list.run().await,
            Self::Redrive(redrive) => redrive.run().await,
            Self::Purge(purge) => purge.run().await,
        }
    }
}

fn failed(verb: &'static str, coordinator: &Coordinator) -> impl Fn(Status) -> Failure {
    let url = coordinator.url().to_owned();
    move |status| Failure::from_status(&status, verb, &url)
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let answer = self.read(&coordinator).await?;
        self.output.print(&answer, text)?;
        Ok(Exit::Success)
    }

    async fn read(&self, coordinator: &Coordinator) -> Result<ListDeadLettersResponse, Failure> {
        let mut all = ListDeadLettersResponse::default();
        loop {
            let wanted = (self.limit - all.dead_letters.len()).min(PAGE);
            if wanted == 0 {
                return Ok(all);
            }
            let request = ListDeadLettersRequest {
                queue: self.queue.clone(),
                page_size: i32::try_from(wanted).unwrap_or(i32::MAX),
                page_token: all.next_page_token,
            };
            let page = coordinator.dead_letters().list_dead_letters(bounded(request)).await;
            let page = page.map_err(failed("list dead letters", coordinator))?.into_inner();
            all.dead_letters.extend(page.dead_letters);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                return Ok(all);
            }
        }
    }
}

impl Redrive {
    async fn run(self) -> Result<Exit, Failure> {
        let Choice { jobs, queue, connection, output } = self.choice;
        let coordinator = connection.open()?;
        let request = RedriveDeadLettersRequest {
            job_ids: jobs,
            queue: queue.unwrap_or_default(),
            max_count: self.max,
            filter: self.filter.unwrap_or_default(),
            rate: self.rate.unwrap_or_default(),
        };
        let answer = coordinator.dead_letters().redrive_dead_letters(bounded(request)).await;
        let answer = answer.map_err(failed("redrive dead letters", &coordinator))?.into_inner();
        output.print(&answer, new_jobs)?;
        Ok(Exit::Success)
    }
}

impl Purge {
    async fn run(self) -> Result<Exit, Failure> {
        let Choice { jobs, queue, connection, output } = self.choice;
        let coordinator = connection.open()?;
        let request = PurgeDeadLettersRequest { job_ids: jobs, queue: queue.unwrap_or_default() };
        let answer = coordinator.dead_letters().purge_dead_letters(bounded(request)).await;
        let answer = answer.map_err(failed("purge dead letters", &coordinator))?.into_inner();
        output.print(&answer, |answer: &PurgeDeadLettersResponse| {
            format!("{} removed", words::many(answer.purged, "dead letter"))
        })?;
        Ok(Exit::Success)
    }
}

fn text(answer: &ListDeadLettersResponse) -> String {
    if answer.dead_letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let mut table = output::table(["job", "task", "queue", "attempts", "died", "reason"]);
    for letter in &answer.dead_letters {
        table.add_row(row(letter));
    }
    let more = if answer.next_page_token.is_empty() { "" } else { "\n(more; see --limit)" };
    format!("{}{more}", output::lines_of(&table))
}

fn row(letter: &DeadLetter) -> [String; 6] {
    [
        letter.job_id.clone(),
        letter.task.clone(),
        letter.queue.clone(),
        letter.attempts.to_string(),
        output::time(letter.died_at.as_ref()),
        short(&letter.reason),
    ]
}

/// A reason on one line.
fn short(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn new_jobs(answer: &RedriveDeadLettersResponse) -> String {
    match answer.redriven.as_slice() {
        [] => "no dead letters to try again".to_owned(),
        all => all.iter().map(|one| one.new_job_id.clone()).collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_a_line_per_letter_and_says_that_there_is_more() {
        let letter = DeadLetter {
            job_id: "j1".into(),
            task: "sum".into(),
            queue: "sums".into(),
            attempts: 3,
            reason: format!("{}\nsecond line", "é".repeat(70)),
            ..DeadLetter::default()
        };
        let mut answer =
            ListDeadLettersResponse { dead_letters: vec![letter], next_page_token: "t".into() };
        let shown = text(&answer);
        assert!(
            shown.contains("j1") && shown.contains(&format!("{}...", "é".repeat(60))),
            "{shown}"
        );
        assert!(shown.ends_with("(more; see --limit)") && !shown.contains("second"), "{shown}");
        answer.dead_letters.clear();
        assert_eq!(text(&answer), "no dead letters");
    }
}
