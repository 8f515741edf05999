//! Why a document could not be read: one line that says where and what to do.

use std::{borrow::Cow, fmt};

use postq_common::spec::{Problem, shown};
use thiserror::Error;

/// A document that has not the shape of a job.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct DocumentError {
    /// The field, as `tasks.count.retry.max_attempts`; empty for the whole.
    pub path: String,
    /// Line and column in the text, from 1, where they are known.
    pub position: Option<(u64, u64)>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        let message = match error.position {
            Some((line, column)) => format!("{} (line {line}, column {column})", error.message),
            None => error.message,
        };
        Self::new(error.path, message)
    }
}

impl From<DocumentError> for Vec<Problem> {
    fn from(error: DocumentError) -> Self {
        vec![error.into()]
    }
}

/// The end of the path of every duration, in both spellings.
const DURATIONS: [&str; 11] = [
    "timeout",
    "grace",
    "backoff",
    "max_backoff",
    "maxBackoff",
    "delay",
    "delays",
    "expires_after",
    "expiresAfter",
    "period",
    "increment",
];

/// The end of the path of every time.
const TIMES: [&str; 2] = ["run_at", "runAt"];

/// The end of the path of every number with a fraction.
const FRACTIONS: [&str; 2] = ["factor", "jitter"];

/// What a parser says of a number in text that is none, or not of 32 bits.
const NO_INTEGERS: [&str; 5] = [
    "untagged enum Content",
    "invalid digit found in string",
    "cannot parse integer from empty string",
    "number too large to fit in target type",
    "number too small to fit in target type",
];

/// The message for the fault `told` by a parser about the field at `path`. `postq.submit` says the
/// same in SQL.
pub(super) fn explain(path: &str, told: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or_default();
    let field = field.split('[').next().unwrap_or_default();
    let is_unknown = told.contains("unknown field");
    let is_list = told.contains("expected a sequence");
    if !is_unknown && !is_list && DURATIONS.contains(&field) {
        return "is not a duration; write seconds with an \"s\", as \"90s\" or \"0.5s\"".to_owned();
    }
    if !is_unknown && TIMES.contains(&field) {
        return "is not a time; write it as \"2030-01-31T12:00:00Z\"".to_owned();
    }
    if !is_unknown && FRACTIONS.contains(&field) {
        return "is not a number".to_owned();
    }
    if told.contains("out of range integral type conversion") {
        return "is an integer that JSON cannot carry (beyond 2^53); write it as a string"
            .to_owned();
    }
    if NO_INTEGERS.iter().any(|fault| told.contains(fault)) {
        return "is not a whole number of 32 bits".to_owned();
    }
    if let Some((_, words)) = told.split_once("expected expected one of: ") {
        let words = words.trim_matches(['[', ']']).replace('"', "`");
        return format!("is not one of the words {words}");
    }
    if told.contains("expected a string") && !told.contains("map") && !told.contains("sequence") {
        return format!("{}; put it in quotes", one_line(told));
    }
    one_line(&without_type(told))
}

/// Without the names of our types, which mean nothing to the author of a document.
fn without_type(told: &str) -> Cow<'_, str> {
    match told.split_once(", expected struct postq.v1.") {
        Some((found, _)) => format!("{found}, expected a map").into(),
        None => told.replace("expected google.protobuf.Struct", "expected a map").into(),
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(shown_line).collect::<Vec<_>>().join(" ")
}

fn shown_line(line: &str) -> String {
    line.split(' ').map(shown).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
