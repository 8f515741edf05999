//! What goes to standard output: text or JSON, tables, times.
//!
//! Invariant: JSON is the proto3-JSON form of the coordinator's answer, one document; of what goes on and on
//! one on each line.

use std::{
    io::{self, ErrorKind, Write},
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use pbjson_types::Timestamp;
use postq_proto::document;
use serde::Serialize;

use crate::failure::{Exit, Failure};

/// `--output`.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// Text for people or JSON for programs.
    #[arg(
        long,
        short = 'o',
        env = "POSTQ_FORMAT",
        value_enum,
        default_value_t = Format::Text,
        value_name = "FORMAT"
    )]
    pub output: Format,
}

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// The answer's proto3-JSON form.
    Json,
}

impl Output {
    /// Whether JSON is wanted.
    pub fn is_json(self) -> bool {
        self.output == Format::Json
    }

    /// Prints `answer` as JSON, or what `text` makes of it.
    pub fn print<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.output {
            Format::Json => print(&json(answer)?),
            Format::Text => print(&text(answer)),
        }
    }

    /// The same for one of many that come one by one: JSON on one line.
    pub fn print_line<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.output {
            Format::Json => print(&value_of(answer)?.to_string()),
            Format::Text => print(&text(answer)),
        }
    }
}

/// The JSON form of an answer.
pub fn json<T: Serialize>(answer: &T) -> Result<String, Failure> {
    value_of(answer).map(|value| format!("{value:#}"))
}

fn value_of<T: Serialize>(answer: &T) -> Result<serde_json::Value, Failure> {
    document::to_json(answer).map_err(|error| {
        Failure::new(Exit::Server, format!("the answer has no JSON form: {error}"))
    })
}

/// Writes a line, or several, to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let text = text.strip_suffix('\n').unwrap_or(text);
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| refused(&error))
}

/// Writes bytes to standard output as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| refused(&error))
}

fn refused(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::unheard(),
        _ => Failure::new(Exit::Machine, format!("cannot write to standard output: {error}")),
    }
}

/// An empty table with these headings.
pub fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.map(str::to_uppercase));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table without blanks at the ends of its lines.
pub fn lines_of(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A time as `2026-01-02T03:04:05Z`; "-" where there is none.
pub fn time(at: Option<&Timestamp>) -> String {
    at.and_then(to_system_time)
        .map_or("-".to_owned(), |at| humantime::format_rfc3339_seconds(at).to_string())
}

/// The time between two, where both are known.
pub fn between(from: Option<&Timestamp>, to: Option<&Timestamp>) -> Option<Duration> {
    to_system_time(to?)?.duration_since(to_system_time(from?)?).ok()
}

/// A duration as a person says it: `0.3s`, `45s`, `3m 07s`, `2h 05m`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", length.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn to_system_time(at: &Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(at.seconds).ok()?;
    let nanos = u32::try_from(at.nanos).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let said = |ms| duration(Duration::from_millis(ms));
        assert_eq!(said(340), "0.3s");
        assert_eq!(said(45_900), "45s");
        assert_eq!(said(187_000), "3m 07s");
        assert_eq!(said(7_500_000), "2h 05m");
    }

    #[test]
    fn times_are_utc_and_absent_ones_a_dash() {
        let at = Timestamp { seconds: 1_767_323_045, nanos: 999 };
        assert_eq!(time(Some(&at)), "2026-01-02T03:04:05Z");
        assert_eq!(time(None), "-");
    }

    #[test]
    fn tables_have_no_blanks_at_the_ends_of_lines() {
        let mut table = table(["a", "b"]);
        table.add_row(["1", ""]);
        assert_eq!(lines_of(&table), "A  B\n1");
    }
}
