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

/// What is drawn: nothing until something is known.
#[derive(Debug, Default)]
pub(super) struct Live {
    multi: MultiProgress,
    total: Option<ProgressBar>,
    more: Option<ProgressBar>,
    rows: BTreeMap<i32, ProgressBar>,
}

impl Live {
    /// Draws the board as it is.
    pub(super) fn draw(&mut self, board: &Board, now: Instant) {
        if board.total() == 0 {
            return;
        }
        let total = self
            .total
            .get_or_insert_with(|| self.multi.add(ProgressBar::new(1).with_style(style(BAR))));
        total.set_length(u64::try_from(board.total()).unwrap_or(u64::MAX));
        total.set_position(u64::try_from(board.ended()).unwrap_or(u64::MAX));
        total.set_message(board.counts());
        let total = total.clone();
        let gone = self.rows.extract_if(.., |&number, _| !board.is_running(number));
        gone.for_each(|(_, row)| self.multi.remove(&row));
        let mut unseen = 0_usize;
        for (number, entry) in board.running() {
            if !self.rows.contains_key(&number) && self.rows.len() >= LINES {
                unseen += 1;
                continue;
            }
            let row = self.rows.entry(number).or_insert_with(|| {
                let row = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
                self.multi.insert_before(self.more.as_ref().unwrap_or(&total), row)
            });
            row.set_message(text(entry, now));
            row.tick();
        }
        self.draw_more(unseen, &total);
    }

    fn draw_more(&mut self, unseen: usize, total: &ProgressBar) {
        if unseen == 0 {
            if let Some(more) = self.more.take() {
                self.multi.remove(&more);
            }
            return;
        }
        let more = self.more.get_or_insert_with(|| {
            let more = ProgressBar::new_spinner().with_style(style("  {msg}"));
            self.multi.insert_before(total, more)
        });
        more.set_message(format!("... and {unseen} more run"));
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
        let mut live = Live::default();
        live.draw(&board, Instant::now());
        assert_eq!(live.rows.len(), LINES);
        assert_eq!(live.more.unwrap().message(), "... and 9992 more run");
    }
}
