//! The shape of a job as written. Its fields need not make sense yet: `dag::plan` decides that.
//!
//! It knows neither the wire nor the database.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use super::{LabelRule, Needs, RetryPolicy};
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
    /// Free JSON for its tasks.
    pub data: Option<Value>,
    /// Not before this time of the Unix clock, and how long after its submit.
    pub start: Start,
    /// Longest wait for its first start.
    pub expires_after: Option<Duration>,
    /// Longest run of the whole job.
    pub timeout: Option<Duration>,
    /// Held by at most one job.
    pub unique: Option<Unique>,
    /// Other jobs that must have ended first.
    pub after: Option<After>,
    /// Whether its end is told by a notification.
    pub notify: bool,
    /// What stays of its files once it has ended.
    pub keep_workspace: KeepWorkspace,
    /// Patterns of the files that stay when it is forgotten.
    pub artifacts: Vec<String>,
    /// Patterns of what its tasks do not leave.
    pub ignore: Vec<String>,
}

/// When a job may begin: at most one of the two may be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Since the Unix epoch; negative before it.
    pub at_micros: Option<i64>,
    /// After its submit.
    pub delay: Option<Duration>,
}

/// A key that at most one job holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unique {
    /// The key.
    pub key: String,
    /// Among which jobs.
    pub scope: Scope,
    /// How long it is held; none means until the job has ended.
    pub period: Option<Duration>,
    /// What happens to a job that holds it already.
    pub existing: Existing,
}

/// Other jobs that must have ended first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Their ids, as written.
    pub jobs: Vec<String>,
    /// What is wanted of them.
    pub run_if: RunIf,
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
    /// Instead of the job's.
    pub priority: Option<i32>,
    /// What happens where nobody knows whether it was started.
    pub delivery: Delivery,
    /// Executions that may be lost with their agents; 0 is the default.
    pub crash_limit: i32,
    /// How many with the same key may run at a time.
    pub concurrency: Option<Concurrency>,
    /// How many with the same key may start within a time.
    pub rate: Option<Rate>,
    /// How its container is made.
    pub container: Option<Container>,
    /// Where its agent finds the values of more variables.
    pub secrets: BTreeMap<String, String>,
    /// What an execution takes of its agent, as written.
    pub resources: BTreeMap<String, Value>,
    /// What must hold of the labels of its agent.
    pub requires: Vec<LabelRule>,
    /// Patterns of what is kept of what it writes; none means all.
    pub outputs: Vec<String>,
    /// Patterns of what it does not leave, after the job's.
    pub ignore: Vec<String>,
}

/// How a container is made; what is empty is left to the agent, the image and the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Instead of the image's.
    pub entrypoint: Vec<String>,
    /// Who runs in it.
    pub user: String,
    /// What it is connected to.
    pub network: String,
    /// `SOURCE:TARGET` or `SOURCE:TARGET:ro`.
    pub mounts: Vec<String>,
    /// Of the image.
    pub platform: String,
    /// When the image is fetched.
    pub pull: Pull,
    /// Whether process 1 is one that passes signals on; none means yes.
    pub init: Option<bool>,
    /// `all`, or how many.
    pub gpus: String,
}

/// At most `limit` tasks with the same key run at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The key.
    pub key: String,
    /// At least 1.
    pub limit: i32,
}

/// At most `limit` tasks with the same key start within any `period`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The key.
    pub key: String,
    /// At least 1.
    pub limit: i32,
    /// More than zero.
    pub period: Duration,
}

impl TaskSpec {
    /// The grace of a task that states none.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// The crash limit of a task that states none.
    pub const DEFAULT_CRASH_LIMIT: i32 = 5;

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

    /// What an agent must have to run it.
    pub fn needs(&self) -> Needs {
        Needs::of(&self.resources, &self.requires)
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
            priority: None,
            delivery: Delivery::default(),
            crash_limit: 0,
            concurrency: None,
            rate: None,
            container: None,
            secrets: BTreeMap::new(),
            resources: BTreeMap::new(),
            requires: Vec::new(),
            outputs: Vec::new(),
            ignore: Vec::new(),
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

/// What stays, once a job has ended, beside the files that it left as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepWorkspace {
    /// What each task left, where the job has not succeeded.
    #[default]
    OnFailure,
    /// What each task left.
    Always,
    /// Nothing.
    Never,
}
words!(
    KeepWorkspace,
    "keep_workspace": OnFailure = "on_failure", Always = "always", Never = "never"
);

/// What happens where nobody knows whether a task was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// It is tried again.
    #[default]
    AtLeastOnce,
    /// It is not, and it is never retried.
    AtMostOnce,
}
words!(Delivery, "delivery": AtLeastOnce = "at_least_once", AtMostOnce = "at_most_once");

/// Among which jobs a unique key is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Those of the same queue.
    #[default]
    Queue,
    /// All.
    All,
}
words!(Scope, "scope": Queue = "queue", All = "all");

/// What happens to a job that holds a unique key already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Existing {
    /// It is the job.
    #[default]
    Keep,
    /// It is cancelled if it has not started.
    Replace,
}
words!(Existing, "existing": Keep = "keep", Replace = "replace");

/// When an image is fetched from its registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pull {
    /// Where the host does not have it.
    #[default]
    Missing,
    /// Before each attempt.
    Always,
    /// Never.
    Never,
}
words!(Pull, "pull": Missing = "missing", Always = "always", Never = "never");

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
