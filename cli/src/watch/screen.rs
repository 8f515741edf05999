//! Where a person sees the job: a terminal that is redrawn, or plain lines.
//!
//! What tasks write goes to standard output, what is said about them to standard error. Invariant:
//! what tasks wrote is never mixed into a line of ours.

use std::{
    io::{self, IsTerminal, Write},
    time::Instant,
};

use super::{
    board::{Board, Change},
    live::Live,
    plain::{Plain, clock},
};
use crate::{failure::Failure, output};

/// One of the two, and where the output of tasks goes.
#[derive(Debug)]
pub(super) struct Screen {
    live: Option<Live>,
    plain: Plain,
    output_aside: bool,
}

impl Screen {
    /// What standard error is made for. With `output_aside` the tasks' output goes there as well,
    /// since standard output is for one JSON document.
    pub(super) fn open(output_aside: bool) -> Self {
        let live = io::stderr().is_terminal().then(Live::default);
        Self { live, plain: Plain::default(), output_aside }
    }

    /// A line of our own.
    pub(super) fn say(&self, text: &str) {
        let line = format!("{} {text}", clock(std::time::SystemTime::now()));
        self.tell(&line);
    }

    /// A task that is not what it was.
    pub(super) fn change(&mut self, board: &Board, change: &Change) {
        if let Some(line) = self.plain.change(board, change) {
            // What runs is on the terminal anyway.
            let is_running = board.is_running(change.number) && change.lost.is_none();
            if self.live.is_none() || !is_running {
                self.tell(&line);
            }
        }
    }

    /// Brings durations and sums up to date.
    pub(super) fn refresh(&mut self, board: &Board, now: Instant) {
        match &mut self.live {
            Some(live) => live.draw(board, now),
            None => {
                if let Some(line) = self.plain.sum(board, now) {
                    self.tell(&line);
                }
            }
        }
    }

    /// Lines that tasks wrote.
    pub(super) fn output(&self, lines: &[String]) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        let text = lines.join("\n");
        if self.output_aside {
            self.tell(&text);
            return Ok(());
        }
        match &self.live {
            Some(live) => live.above(|| output::print(&text)),
            None => output::print(&text),
        }
    }

    /// Ends the drawing.
    pub(super) fn close(&self) {
        if let Some(live) = &self.live {
            live.clear();
        }
    }

    fn tell(&self, text: &str) {
        match &self.live {
            Some(live) => live.above(|| write_error(text)),
            None => write_error(text),
        }
    }
}

/// Whoever closed standard error does not want to know.
fn write_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
