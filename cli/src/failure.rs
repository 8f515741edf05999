//! How the command ends: one exit code, and for a person one line per problem.
//!
//! Invariant: no line holds a newline, and each says what is wrong, where, and what to do.

use std::error::Error;

use postq_runtime::channel::ChannelError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::embedded::EmbeddedError;

/// The exit codes. Scripts rely on them, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done; with `run` and `submit --watch` the job succeeded.
    Success = 0,
    /// The job failed or was cancelled.
    JobFailed = 1,
    /// The command line, the job document or a request is not valid.
    Invalid = 2,
    /// No coordinator or no database answers.
    Unreachable = 3,
    /// There is no such job, task or file.
    NotFound = 4,
    /// The token is missing or does not allow it.
    Refused = 5,
    /// It is not possible in the present state, for example files that conflict.
    Conflict = 6,
    /// This machine lacks something, for example a Postgres server or a writable directory.
    Machine = 7,
    /// The server failed in a way it should not.
    Server = 8,
    /// What was waited for has not happened in the time given.
    TimedOut = 9,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Success,
        Self::JobFailed,
        Self::Invalid,
        Self::Unreachable,
        Self::NotFound,
        Self::Refused,
        Self::Conflict,
        Self::Machine,
        Self::Server,
        Self::TimedOut,
        Self::Interrupted,
    ];

    /// For `--help` and the documents.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; with run, wait and submit --watch: the job succeeded",
            Self::JobFailed => "the job failed or was cancelled (run, wait, submit --watch)",
            Self::Invalid => "the command line, the job document or the request is not valid",
            Self::Unreachable => "no coordinator or no database answers",
            Self::NotFound => "there is no such job, task, file or directory",
            Self::Refused => "the token is missing or does not allow it",
            Self::Conflict => "not possible in the present state, such as files that conflict",
            Self::Machine => "this machine lacks something, such as a Postgres server",
            Self::Server => "the coordinator failed in a way it should not",
            Self::TimedOut => "what was waited for has not happened in the time given",
            Self::Interrupted => "stopped by Ctrl-C or SIGTERM",
        }
    }

    /// The part of `--help` that lists them.
    pub fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("{:>5}  {}", exit as u8, exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the process ends with.
    pub exit: Exit,
    /// One line per problem, without the name of the command.
    pub lines: Vec<String>,
}

impl Failure {
    /// A single problem.
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self::of_all(exit, [line.into()])
    }

    /// Several problems.
    pub fn of_all(exit: Exit, lines: impl IntoIterator<Item = String>) -> Self {
        Self { exit, lines: lines.into_iter().map(|line| one_line(&line)).collect() }
    }

    /// Nobody reads our output any more, which is not worth a word.
    pub fn unheard() -> Self {
        Self { exit: Exit::Success, lines: Vec::new() }
    }

    /// The answer of the coordinator at `url` to an attempt to `verb`, such as "submit the job".
    pub fn from_status(status: &Status, verb: &str, url: &str) -> Self {
        if is_unreachable(status) {
            return Self::unreachable(url, &root_cause(status));
        }
        let violations = status.get_details_bad_request().map(|bad| bad.field_violations);
        if let Some(violations) = violations.filter(|violations| !violations.is_empty()) {
            let lines = violations.into_iter().map(|violation| match &*violation.field {
                "" => violation.description,
                field => format!("{field}: {}", violation.description),
            });
            return Self::of_all(Exit::Invalid, lines);
        }
        let message = status.message();
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Self::new(Exit::Invalid, message),
            Code::NotFound => Self::new(Exit::NotFound, message),
            Code::Unauthenticated | Code::PermissionDenied => Self::new(
                Exit::Refused,
                format!("{url} refuses to {verb}: {message}; pass --token-file or set POSTQ_TOKEN"),
            ),
            Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::Aborted
            | Code::ResourceExhausted => Self::new(Exit::Conflict, message),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::new(
                Exit::Unreachable,
                format!("{url} could not {verb}: {message}; try again, and see its log"),
            ),
            Code::Unimplemented => Self::new(
                Exit::Server,
                format!("{url} cannot {verb}: it is no coordinator of this release"),
            ),
            code => Self::new(
                Exit::Server,
                format!("{url} failed to {verb}: {message} ({code:?}); see its log"),
            ),
        }
    }

    /// Nobody answers at `url`.
    pub fn unreachable(url: &str, cause: &str) -> Self {
        let advice = "start one (`postq up`), or name another with --coordinator or \
                      POSTQ_COORDINATOR";
        let line = format!("no coordinator answers at {url}: {cause}; {advice}");
        Self::new(Exit::Unreachable, line)
    }

    /// A file or directory that the operating system refuses.
    pub fn of_file(verb: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Machine,
        };
        Self::new(exit, format!("cannot {verb} {}: {error}", path.display()))
    }
}

impl From<EmbeddedError> for Failure {
    fn from(error: EmbeddedError) -> Self {
        Self::new(Exit::Machine, error.to_string())
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        let exit = match error {
            ChannelError::Unreachable { .. } => Exit::Unreachable,
            ChannelError::BadUrl { .. } | ChannelError::BadToken => Exit::Invalid,
        };
        Self::new(exit, error.to_string())
    }
}

/// Whether the same call may well succeed a moment later.
pub fn is_transient(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::ResourceExhausted
    )
}

/// An error with what caused it: `a: b: c`, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Only what our own side of the wire says has a source; a coordinator's word has none.
fn is_unreachable(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.source().is_some()
}

fn root_cause(status: &Status) -> String {
    let mut cause: &dyn Error = status;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    const URL: &str = "http://127.0.0.1:7432";

    fn exit_of(code: Code) -> Exit {
        Failure::from_status(&Status::new(code, "why"), "get the job", URL).exit
    }

    #[test]
    fn every_violation_is_a_line_with_its_field() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("tasks.b.depends[0]", "no task is named zz");
        details.add_bad_request_violation("tasks.c.timeout", "not a duration");
        let status = Status::with_error_details(Code::InvalidArgument, "2 problems", details);
        let failure = Failure::from_status(&status, "submit the job", URL);
        assert_eq!(failure.exit, Exit::Invalid);
        assert_eq!(
            failure.lines,
            ["tasks.b.depends[0]: no task is named zz", "tasks.c.timeout: not a duration"]
        );
    }

    #[test]
    fn codes_of_the_server_become_exit_codes() {
        let table = [
            (Code::InvalidArgument, Exit::Invalid),
            (Code::NotFound, Exit::NotFound),
            (Code::Unauthenticated, Exit::Refused),
            (Code::PermissionDenied, Exit::Refused),
            (Code::FailedPrecondition, Exit::Conflict),
            (Code::AlreadyExists, Exit::Conflict),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::Unreachable),
            (Code::Internal, Exit::Server),
            (Code::Unimplemented, Exit::Server),
        ];
        for (code, exit) in table {
            assert_eq!(exit_of(code), exit, "{code:?}");
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("refused");
        let outer = EmbeddedError::io("read", "/x")(inner);
        assert_eq!(chain(&outer), "cannot read /x: refused");
    }

    #[test]
    fn a_message_of_several_lines_is_told_in_one() {
        let failure = Failure::new(Exit::Server, "first\n  second\n");
        assert_eq!(failure.lines, ["first second"]);
    }

    #[test]
    fn help_lists_every_exit_code_once() {
        let help = Exit::help();
        for exit in Exit::ALL {
            assert_eq!(help.matches(&format!("\n{:>5}  ", exit as u8)).count(), 1);
        }
    }
}
