//! The shape of a job as written. Its fields need not make sense yet: `dag::plan` decides that.
//!
//! It knows neither the wire nor the database.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use super::RetryPolicy;
use crate::tree::Digest;

/// A job as submitted: a directed acyclic graph of named tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobSpec {
    /// For people; need not be unique.
    pub name: String,
    /// The queue it waits in; empty means [`JobSpec::DEFAULT_QUEUE`].
    pub queue: String,
    /// Free JSON for finding and filtering jobs.
    pub attributes: Map<String, Value>,
    /// Environment of every task.
    pub env: BTreeMap<String, String>,
    /// The tasks by name.
    pub tasks: BTreeMap<String, TaskSpec>,
    /// Greater is claimed first.
    pub priority: i32,
    /// Digest of the uploaded files that the first tasks start from.
    pub input: Option<Digest>,
    /// What happens where parents left different things at one path.
    pub on_conflict: OnConflict,
}

impl JobSpec {
    /// The queue of a job that names none.
    pub const DEFAULT_QUEUE: &'static str = "default";
}

/// One node of the graph as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Names of the tasks that must end first.
    pub depends: Vec<String>,
    /// Shell command line, or what replaces the image's command.
    pub command: String,
    /// Set: the task runs in a Docker container.
    pub image: Option<String>,
    /// Set: the task runs in a language worker.
    pub handler: Option<String>,
    /// Free JSON for the handler.
    pub arguments: Option<Value>,
    /// Added to the job's environment, and winning over it.
    pub env: BTreeMap<String, String>,
    /// Longest run of one attempt; none means no limit.
    pub timeout: Option<Duration>,
    /// From the polite signal to the certain one.
    pub grace: Duration,
    /// How often and after what pause it is tried again.
    pub retry: RetryPolicy,
    /// What it wants of the tasks it depends on.
    pub run_if: RunIf,
    /// Whether it sees and leaves files; none means as its executor suggests.
    pub workspace: Option<WorkspaceUse>,
}

impl TaskSpec {
    /// The grace of a task that states none.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// How an agent runs it.
    pub fn executor(&self) -> Executor {
        if self.handler.is_some() {
            Executor::Handler
        } else if self.image.is_some() {
            Executor::Docker
        } else {
            Executor::Shell
        }
    }

    /// Whether it sees and leaves files: as written, else files for all but handlers.
    pub fn workspace_use(&self) -> WorkspaceUse {
        self.workspace.unwrap_or(match self.executor() {
            Executor::Shell | Executor::Docker => WorkspaceUse::Files,
            Executor::Handler => WorkspaceUse::None,
        })
    }
}

impl Default for TaskSpec {
    fn default() -> Self {
        Self {
            depends: Vec::new(),
            command: String::new(),
            image: None,
            handler: None,
            arguments: None,
            env: BTreeMap::new(),
            timeout: None,
            grace: Self::DEFAULT_GRACE,
            retry: RetryPolicy::default(),
            run_if: RunIf::default(),
            workspace: None,
        }
    }
}

/// A word that names no variant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {what} {word:?}")]
pub struct UnknownWord {
    /// What was wanted.
    pub what: &'static str,
    /// What was given.
    pub word: String,
}

/// Gives an enum without data its words: `Display`, `FromStr`, `as_str` and `ALL` agree.
macro_rules! words {
    ($name:ident, $what:literal: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word in SQL, logs and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = $crate::spec::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::spec::UnknownWord { what: $what, word: word.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use words;

/// What a task wants of its parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunIf {
    /// All of them succeeded.
    #[default]
    Succeeded,
    /// All have ended, and at least one failed or was skipped after a failure.
    Failed,
    /// All have ended, however.
    Finished,
}
words!(RunIf, "run_if": Succeeded = "succeeded", Failed = "failed", Finished = "finished");

/// Whether a task sees and leaves files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkspaceUse {
    /// It starts in the files its ancestors left, and leaves its own.
    Files,
    /// It starts in an empty directory and leaves nothing; files pass it by.
    None,
}
words!(WorkspaceUse, "workspace": Files = "files", None = "none");

/// What happens where the parents of a task left different things at one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnConflict {
    /// The joining task fails before it runs.
    #[default]
    Fail,
    /// The parent listed last in `depends` wins.
    PreferLastDependency,
}
words!(OnConflict, "on_conflict": Fail = "fail", PreferLastDependency = "prefer_last_dependency");

/// How an agent runs an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Executor {
    /// A command in a shell.
    Shell,
    /// A container.
    Docker,
    /// A named function of a language worker.
    Handler,
}
words!(Executor, "executor": Shell = "shell", Docker = "docker", Handler = "handler");
