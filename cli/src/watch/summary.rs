//! The table at the end: task, state, agent, attempts, duration, reason.
//!
//! Invariant: it has at most as many rows as asked for; what is left out is counted.

use std::time::Instant;

use postq_proto::v1::task::State;

use super::{
    board::{Board, Entry},
    words,
};
use crate::output;

/// The table of at most `rows` tasks: all in the order of the plan, or of a job with more those
/// that did not succeed first.
pub fn table(board: &Board, rows: usize) -> String {
    let mut table = output::table(["task", "state", "agent", "attempts", "duration", "reason"]);
    let mut entries: Vec<&Entry> = board.entries().collect();
    let left_out = entries.len().saturating_sub(rows);
    if left_out > 0 {
        entries.sort_by_key(|entry| entry.task.state() == State::Succeeded);
        entries.truncate(rows);
    }
    for entry in entries {
        table.add_row(row(entry));
    }
    let lines = output::lines_of(&table);
    if left_out == 0 {
        return lines;
    }
    format!("{lines}\n... and {left_out} more (--output json has all)")
}

/// `job 0197... failed in 3.4s: 1 of 5 tasks failed`.
pub fn last_line(board: &Board) -> String {
    let job = &board.job;
    let took = output::between(job.started_at.as_ref(), job.finished_at.as_ref());
    let took = took.map_or(String::new(), |took| format!(" in {}", output::duration(took)));
    let reason = if job.reason.is_empty() { board.counts() } else { job.reason.clone() };
    format!("job {} {}{took}: {reason}", job.id, words::job_state(job.state()))
}

fn row(entry: &Entry) -> [String; 6] {
    let task = &entry.task;
    let duration = entry.duration(Instant::now()).map_or("-".to_owned(), output::duration);
    let agent = if entry.agent().is_empty() { "-" } else { entry.agent() };
    [
        task.name.clone(),
        words::task_state(task.state()),
        agent.to_owned(),
        attempts(task.attempts, task.crashes),
        duration,
        entry.reason(),
    ]
}

fn attempts(counted: i32, crashes: i32) -> String {
    match (counted, crashes) {
        (counted, 0) => counted.to_string(),
        (counted, crashes) => format!("{counted} (+{crashes} lost)"),
    }
}

#[cfg(test)]
mod tests {
    use postq_proto::v1::Task;

    use super::*;

    fn board(states: &[State]) -> Board {
        let mut board = Board::default();
        board.take_tasks(states.iter().zip(0..).map(|(&state, number)| Task {
            name: format!("t{number}"),
            number,
            state: state.into(),
            ..Task::default()
        }));
        board
    }

    #[test]
    fn a_large_job_shows_first_what_did_not_succeed() {
        let mut states = vec![State::Succeeded; 100];
        states[77] = State::Failed;
        let text = table(&board(&states), 3);
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().nth(1).unwrap().starts_with("t77 "));
        assert!(text.contains("and 97 more"));
    }

    #[test]
    fn a_small_job_is_shown_in_the_order_of_its_plan() {
        let text = table(&board(&[State::Succeeded, State::Failed, State::Skipped]), 10);
        let names: Vec<_> = text.lines().skip(1).map(|line| &line[..2]).collect();
        assert_eq!(names, ["t0", "t1", "t2"]);
    }

    #[test]
    fn lost_attempts_are_counted_apart() {
        assert_eq!(attempts(1, 0), "1");
        assert_eq!(attempts(1, 2), "1 (+2 lost)");
    }
}
