//! What can go wrong with a private PostQ, each with what to do about it.
//!
//! Invariant: the text of every error is one line and ends in advice or in the path of a log.

use std::{io, path::PathBuf};

/// Why a private PostQ could not be started or kept.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The machine has no Postgres server that is new enough.
    #[error("no Postgres server of release {oldest} or later found on this machine; {advice}")]
    NoServer {
        /// The oldest release that will do.
        oldest: u32,
        /// How to get one on this platform.
        advice: &'static str,
    },
    /// The data was written by another release of Postgres than those found.
    #[error(
        "{path} was written by Postgres {wanted}, which is not on this machine; install Postgres \
         {wanted}, or remove that directory to start empty"
    )]
    OtherRelease {
        /// The data directory.
        path: PathBuf,
        /// The release that wrote it.
        wanted: u32,
    },
    /// A program of PostQ's own is missing.
    #[error("{name} is not in {directory}; build it there with `cargo build --workspace --bins`")]
    NoBinary {
        /// The program.
        name: &'static str,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Another process works in the directory.
    #[error("{path} is in use by another postq; stop that one or set POSTQ_STATE_DIR")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There is no place for data.
    #[error("no directory for data: HOME is not set; set POSTQ_STATE_DIR")]
    NoStateDirectory,
    /// The unprivileged user cannot reach the data directory.
    #[error(
        "the user {user}, under which Postgres runs, may not enter {path}; set POSTQ_STATE_DIR \
         (or TMPDIR for `postq run`) to a directory it can reach"
    )]
    Unreachable {
        /// The unprivileged user.
        user: String,
        /// The first directory that is closed to it.
        path: PathBuf,
    },
    /// There is nobody but root to run Postgres.
    #[error(
        "Postgres does not run as root, and there is neither a user postgres nor nobody; \
             create one (`useradd --system postgres`)"
    )]
    NoAccount,
    /// A child process ended at once or said nothing in time.
    #[error("{name} {what}: {last_line}; its log is {log}")]
    NotStarted {
        /// Which child.
        name: String,
        /// "ended with exit status 1", "was not ready within 60 s".
        what: String,
        /// The last line of its log.
        last_line: String,
        /// Its log.
        log: PathBuf,
    },
    /// A program that runs and ends did so without success.
    #[error("{name} failed: {message}")]
    Failed {
        /// The program.
        name: &'static str,
        /// The last line it wrote.
        message: String,
    },
    /// The operating system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// "create", "write".
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl EmbeddedError {
    /// Wraps an answer of the operating system about `path`.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
