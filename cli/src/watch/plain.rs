//! One line per change, for what is no terminal: `12:03:04 count     running   agent-1`.
//!
//! Times are UTC. Invariant: of a job of more than [`MANY`] tasks only failures and sums are told.

use std::time::{Duration, Instant, SystemTime};

use postq_proto::v1::task::State;

use super::{
    board::{Board, Change, Entry},
    words,
};
use crate::output;

/// From here on tasks are told in sums.
pub(super) const MANY: usize = 200;
/// The longest name that a column is made wide enough for.
const WIDEST_NAME: usize = 24;
const SUM_EVERY: Duration = Duration::from_secs(2);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Plain {
    width: usize,
    sum: Option<(Instant, String)>,
}

impl Plain {
    /// The line for a change, where it is worth one.
    pub(super) fn change(&mut self, board: &Board, change: &Change) -> Option<String> {
        let entry = board.entry(change.number)?;
        let state = entry.task.state();
        let is_large = board.total() > MANY;
        let is_worth_it = match state {
            State::Failed => true,
            _ if is_large => change.lost.is_some(),
            State::Running | State::Succeeded | State::Cancelled | State::Skipped => true,
            _ => change.lost.is_some(),
        };
        is_worth_it.then(|| format!("{} {}", clock(SystemTime::now()), self.line(board, entry)))
    }

    /// The sum of a large job, when it is time for one.
    pub(super) fn sum(&mut self, board: &Board, now: Instant) -> Option<String> {
        let is_due = self.sum.as_ref().is_none_or(|(at, _)| now - *at >= SUM_EVERY);
        if board.total() <= MANY || !is_due {
            return None;
        }
        let text = board.counts();
        let is_new = self.sum.as_ref().is_none_or(|(_, told)| *told != text);
        self.sum = Some((now, text.clone()));
        is_new.then(|| format!("{} {} tasks: {text}", clock(SystemTime::now()), board.total()))
    }

    fn line(&mut self, board: &Board, entry: &Entry) -> String {
        if self.width == 0 {
            let names = board.entries().map(|entry| entry.task.name.chars().count());
            self.width = names.max().unwrap_or(0).min(WIDEST_NAME);
        }
        let state = entry.task.state();
        let word = match state {
            State::Ready | State::Scheduled | State::Parked => "waiting again".to_owned(),
            _ => words::task_state(state),
        };
        let took = entry.duration(Instant::now()).filter(|_| words::is_final(state));
        let took = took.map(output::duration).unwrap_or_default();
        let mut line = format!("{:width$} {word:9}", entry.task.name, width = self.width);
        for part in [entry.agent(), &took, &entry.reason()] {
            if !part.is_empty() {
                line = format!("{line}  {part}");
            }
        }
        line
    }
}

/// The time of day in UTC.
pub(super) fn clock(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use postq_proto::v1::{Attempt, Task, WatchJobResponse};

    use super::*;

    fn told(number: i32, state: State) -> WatchJobResponse {
        let attempt = Attempt { id: 1, agent: "agent-1".into(), ..Attempt::default() };
        let task = Task {
            name: format!("t{number}"),
            number,
            state: state.into(),
            attempt: Some(attempt),
            ..Task::default()
        };
        WatchJobResponse { tasks: vec![task], ..WatchJobResponse::default() }
    }

    #[test]
    fn a_line_tells_time_task_state_and_agent() {
        let (mut board, mut plain) = (Board::default(), Plain::default());
        let changes = board.take(told(0, State::Running), Instant::now());
        let line = plain.change(&board, &changes[0]).unwrap();
        assert_eq!(&line[8..], " t0 running    agent-1");
    }

    #[test]
    fn a_large_job_is_told_in_sums_and_failures() {
        let (mut board, mut plain) = (Board::default(), Plain::default());
        board.job.task_count = 10_000;
        let now = Instant::now();
        let changes = board.take(told(0, State::Running), now);
        assert_eq!(plain.change(&board, &changes[0]), None);
        assert!(plain.sum(&board, now).unwrap().ends_with("10000 tasks: 1 running"));
        assert_eq!(plain.sum(&board, now), None);
        let changes = board.take(told(0, State::Failed), now);
        assert!(plain.change(&board, &changes[0]).unwrap().contains("t0 failed"));
    }

    #[test]
    fn the_clock_is_utc() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(90_061)), "01:01:01");
    }
}
