//! What every executor is given, and what it gives back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::BoxFuture;
use postq_common::spec::{Container, Resources, shown_bytes};

use crate::{process, scratch::Scratch};

/// Where a container finds what a task is told in files, and where it may leave its output.
pub(crate) const PAPERS: &str = "/postq/papers";
pub(crate) const OUTPUT: &str = "/postq/output";

/// One command with everything it needs.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) attempt: i64,
    pub(crate) job_id: String,
    pub(crate) task_name: String,
    pub(crate) program: Program,
    /// The job's, the task's and `POSTQ_*`, as the task will see them.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) scratch: Scratch,
    /// What it may take: `cpus` in thousandths, `memory` in bytes.
    pub(crate) resources: Resources,
    /// The numbers of the GPUs it has; none where the agent does not count them.
    pub(crate) gpus: Option<BTreeSet<u32>>,
}

/// What is told of a task that was killed because it reached its bound of memory.
pub(crate) fn out_of_memory(limit: Option<u64>) -> String {
    match limit {
        Some(bytes) => format!("killed: out of memory (limit {})", shown_bytes(bytes)),
        None => "killed: out of memory".to_owned(),
    }
}

/// The variable that tells a task of the shell where its workspace is. No other attempt of any
/// agent on the host has the same value, and a job cannot set it: it marks the processes.
const MARKER: &str = "POSTQ_WORKSPACE";

/// The environment of a task of the shell, with its marker.
pub(super) fn marked(task: &Task) -> BTreeMap<String, String> {
    let mut env = task.env.clone();
    env.insert(MARKER.to_owned(), task.scratch.workspace().to_string_lossy().into_owned());
    env
}

/// What the environment of the processes of an attempt holds whose files lie there.
pub(crate) fn marker(scratch: &Scratch) -> Vec<String> {
    vec![format!("{MARKER}={}", scratch.workspace().to_string_lossy())]
}

/// What is run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A command line for `sh -c`.
    Shell { command: String },
    /// A container.
    Docker(Box<DockerProgram>),
}

/// A container to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DockerProgram {
    pub(crate) image: String,
    /// A command line for its `sh -c`, or the last argument of another entry point; without one,
    /// what the image itself says.
    pub(crate) command: Option<String>,
    /// All else that was written about it.
    pub(crate) container: Container,
}

/// How a task ended, by itself or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this code; `note` is for a person, such as that memory ran out.
    Exited { code: i32, note: String },
    /// By this signal.
    Signalled(i32),
    /// It never ran.
    NotStarted {
        why: String,
        /// Trying again cannot help.
        is_final: bool,
    },
    /// It ran and nobody can tell how it ended.
    Unknown(String),
}

/// The exit code of what was killed by SIGKILL, as shells and engines tell it.
pub(super) const KILLED: i32 = 137;

impl Ended {
    /// As a guard told it of a task with that bound of memory.
    pub(super) fn told(ended: process::Ended, limit: Option<u64>) -> Self {
        match ended {
            process::Ended::Exited(code) => Self::Exited { code, note: String::new() },
            process::Ended::Signalled(signal) => Self::Signalled(signal),
            process::Ended::OutOfMemory => {
                Self::Exited { code: KILLED, note: out_of_memory(limit) }
            }
            process::Ended::NotStarted(why) => Self::NotStarted { why, is_final: false },
            process::Ended::Unknown(why) => Self::Unknown(why),
        }
    }
}

/// A task that was started.
pub(crate) struct Running {
    pub(crate) control: Control,
    /// Resolves when the task and everything it started have ended. Its last output may follow: what
    /// hands it over holds an `Output`.
    pub(crate) ended: BoxFuture<'static, Ended>,
}

/// A task that an earlier life of the agent has started.
pub(crate) struct Resumed {
    pub(crate) running: Running,
    /// Since it was started.
    pub(crate) ran_for: Duration,
    /// What the image of its container is.
    pub(crate) image: Option<String>,
}

/// Stops a running task; harmless after its end.
#[derive(Clone, Debug)]
pub(crate) enum Control {
    Shell(process::Control),
    Docker(super::docker::Control),
}

impl Control {
    /// The polite signal.
    pub(crate) async fn terminate(&self) {
        match self {
            Self::Shell(control) => control.terminate(),
            Self::Docker(control) => control.signal("SIGTERM").await,
        }
    }

    /// The certain one.
    pub(crate) async fn kill(&self) {
        match self {
            Self::Shell(control) => control.kill(),
            Self::Docker(control) => control.signal("SIGKILL").await,
        }
    }
}

/// Starting a task either gives a running one or tells at once how it "ended".
pub(crate) type Started = Result<Running, Ended>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_was_out_of_memory_is_told_so_with_its_limit() {
        let Ended::Exited { code, note } = Ended::told(process::Ended::OutOfMemory, Some(64 << 20))
        else {
            panic!("it exited");
        };
        assert_eq!((code, &*note), (137, "killed: out of memory (limit 64 MiB)"));
    }
}
