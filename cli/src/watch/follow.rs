//! The loop that joins a job's changes and its tasks' output until both have ended.
//!
//! Invariant: when it returns a board, the job has ended and everything told of it was shown.

use std::time::{Duration, Instant};

use postq_proto::v1::{ReadLogsRequest, job::State};

use super::{
    board::Board,
    feed::{self, next_or_never},
    lines::Lines,
    screen::Screen,
    summary, words,
};
use crate::{
    client::Coordinator,
    failure::{Exit, Failure},
    output,
};

/// How often durations are redrawn.
const REFRESH_EVERY: Duration = Duration::from_millis(200);
/// A line without an end is shown after this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// Output still on its way when the job has ended.
const LATE_OUTPUT: Duration = Duration::from_secs(10);
/// Rows of the table at the end.
const SUMMARY_ROWS: usize = 100;

/// What a person or a program wants to see.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// One JSON document at the end, on standard output; all else on standard error.
    pub json: bool,
    /// What the tasks write.
    pub logs: bool,
}

/// Shows the job until it has ended, and its summary.
pub async fn follow(coordinator: &Coordinator, id: &str, shown: Shown) -> Result<Board, Failure> {
    let mut screen = Screen::open(shown.json);
    let outcome = watch(coordinator, id, shown, &mut screen).await;
    screen.close();
    let board = outcome?;
    if shown.json {
        output::print(&output::json(&crate::command::get::read(coordinator, id).await?)?)?;
    } else {
        let table = summary::table(&board, SUMMARY_ROWS);
        output::print(&format!("\n{table}\n\n{}", summary::last_line(&board)))?;
    }
    Ok(board)
}

/// What the process ends with after a job that ended like this.
pub fn exit_of(board: &Board) -> Exit {
    match board.job.state() {
        State::Succeeded => Exit::Success,
        _ => Exit::JobFailed,
    }
}

async fn watch(
    coordinator: &Coordinator,
    id: &str,
    shown: Shown,
    screen: &mut Screen,
) -> Result<Board, Failure> {
    let request =
        ReadLogsRequest { job_id: id.to_owned(), follow: true, ..ReadLogsRequest::default() };
    let mut changes = Some(feed::changes(coordinator.clone(), id));
    let mut logs = shown.logs.then(|| feed::logs(coordinator.clone(), request));
    let (mut board, mut lines) = (Board::default(), Lines::default());
    let mut ticks = tokio::time::interval(REFRESH_EVERY);
    let mut ended: Option<Instant> = None;
    while changes.is_some() || logs.is_some() {
        tokio::select! {
            told = next_or_never(&mut changes) => match told.transpose()? {
                Some(told) => {
                    if board.job.id.is_empty() && let Some(job) = &told.job {
                        screen.say(&format!("job {id}, {}", words::many(job.task_count, "task")));
                    }
                    for change in board.take(told, Instant::now()) {
                        screen.change(&board, &change);
                    }
                }
                None => {
                    changes = None;
                    ended = Some(Instant::now());
                }
            },
            chunk = next_or_never(&mut logs) => match chunk.transpose()? {
                Some(chunk) => screen.output(&lines.take(&chunk))?,
                None => logs = None,
            },
            _ = ticks.tick() => {
                screen.output(&lines.flush_older(PATIENCE))?;
                screen.refresh(&board, Instant::now());
                if ended.is_some_and(|at| at.elapsed() >= LATE_OUTPUT) {
                    logs = None;
                }
            }
        }
    }
    screen.output(&lines.flush())?;
    Ok(board)
}
