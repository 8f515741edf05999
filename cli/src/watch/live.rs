//! A terminal that is redrawn: one line per running task and a bar for the whole.
//!
//! Invariant: it occupies at most [`LINES`] lines and two more, whatever the size of the job.

use std::{collections::BTreeMap, time::Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::board::{Board, Entry};
use crate::output;

/// Running tasks shown at once.
const LINES: usize = 8;
/// How wide the bar is.
const BAR: &str = "{bar:30} {pos}/{len} {msg}";

/// What is drawn.
#[derive(Debug)]
pub(super) struct Live {
    multi: MultiProgress,
    total: ProgressBar,
    more: ProgressBar,
    rows: BTreeMap<i32, ProgressBar>,
}

impl Live {
    pub(super) fn new() -> Self {
        let multi = MultiProgress::new();
        let more = multi.add(ProgressBar::new_spinner().with_style(style("  {msg}")));
        let total = multi.add(ProgressBar::new(0).with_style(style(BAR)));
        Self { multi, total, more, rows: BTreeMap::new() }
    }

    /// Draws the board as it is.
    pub(super) fn draw(&mut self, board: &Board, now: Instant) {
        let gone: Vec<i32> =
            self.rows.keys().copied().filter(|&number| !board.is_running(number)).collect();
        for number in gone {
            if let Some(row) = self.rows.remove(&number) {
                self.multi.remove(&row);
            }
        }
        let mut unseen = 0_usize;
        for (number, entry) in board.running() {
            if !self.rows.contains_key(&number) && self.rows.len() >= LINES {
                unseen += 1;
                continue;
            }
            let row = self.rows.entry(number).or_insert_with(|| {
                let row = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
                self.multi.insert_before(&self.more, row)
            });
            row.set_message(text(entry, now));
            row.tick();
        }
        let more = if unseen == 0 { String::new() } else { format!("... and {unseen} more run") };
        self.more.set_message(more);
        self.total.set_length(u64::try_from(board.total()).unwrap_or(u64::MAX));
        self.total.set_position(u64::try_from(board.ended()).unwrap_or(u64::MAX));
        self.total.set_message(board.counts());
    }

    /// Takes the drawing away while `write` writes to the terminal.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.multi.suspend(write)
    }

    /// Takes the drawing away for good.
    pub(super) fn clear(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.multi.clear();
    }
}

fn text(entry: &Entry, now: Instant) -> String {
    let took = entry.duration(now).map(output::duration).unwrap_or_default();
    format!("{:24} running  {:12} {took}", entry.task.name, entry.agent())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("invariant: the templates of this file are valid")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use postq_proto::v1::{Task, WatchJobResponse, task::State};

    use super::*;

    #[test]
    fn a_wide_job_occupies_a_bounded_number_of_lines() {
        let mut board = Board::default();
        let tasks = (0..10_000).map(|number| Task {
            name: format!("t{number}"),
            number,
            state: State::Running.into(),
            ..Task::default()
        });
        let told = WatchJobResponse { tasks: tasks.collect(), ..WatchJobResponse::default() };
        board.take(told, Instant::now());
        let mut live = Live::new();
        live.draw(&board, Instant::now());
        assert_eq!(live.rows.len(), LINES);
        assert_eq!(live.more.message(), "... and 9992 more run");
    }
}
