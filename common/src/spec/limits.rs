//! What a job may at most be. Every number has its reason.

use std::{ops::RangeInclusive, time::Duration};

/// The greatest job that is accepted. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded size of a document: what one request may carry.
    pub document_bytes: usize,
    /// Tasks of one job: what one coordinator plans in seconds and a few GiB.
    pub tasks: usize,
    /// Dependencies one task may list: a join of a large fan-out.
    pub depends_per_task: usize,
    /// Dependencies of all tasks together, as written: bounds the time of the reduction.
    pub depends_per_job: usize,
    /// Names of jobs, tasks, queues, handlers and variables: what a file name may have.
    pub name_bytes: usize,
    /// An image reference.
    pub image_bytes: usize,
    /// A command: the longest single argument Linux hands to a process, less its end.
    pub command_bytes: usize,
    /// One variable with its name: as `command_bytes`.
    pub variable_bytes: usize,
    /// All variables of a task, the job's included: half of what Linux gives a new process.
    pub env_bytes: usize,
    /// Attributes of a job as JSON: they are indexed.
    pub attributes_bytes: usize,
    /// Arguments of a task as JSON: what one assignment carries beside its environment. A MiB of bytes
    /// fits as base64.
    pub arguments_bytes: usize,
    /// The job's data as JSON, which every assignment carries.
    pub data_bytes: usize,
    /// Other jobs that one waits for.
    pub after: usize,
    /// Resources that one task asks for.
    pub resources: usize,
    /// Rules about labels that one task has.
    pub rules: usize,
    /// Values in one rule.
    pub values: usize,
    /// Pauses in a list of them.
    pub delays: usize,
    /// Executions that may be lost with their agents.
    pub crashes: i32,
    /// Mounts of a container, secrets of a task, and patterns in one list.
    pub extras: usize,
    /// One mount of a container, one reference to a secret, or one pattern.
    pub extra_bytes: usize,
    /// Priorities.
    pub priority: RangeInclusive<i32>,
    /// The longest duration: what every clock involved can add to now.
    pub duration: Duration,
    /// Problems reported at once.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            document_bytes: 64 * MIB,
            tasks: 1_000_000,
            depends_per_task: 100_000,
            depends_per_job: 5_000_000,
            name_bytes: 255,
            image_bytes: 4 * KIB,
            command_bytes: 128 * KIB - 1,
            variable_bytes: 128 * KIB - 1,
            env_bytes: MIB,
            attributes_bytes: MIB,
            arguments_bytes: 2 * MIB,
            data_bytes: MIB,
            after: 1000,
            resources: 32,
            rules: 32,
            values: 100,
            delays: 100,
            crashes: 1000,
            extras: 100,
            extra_bytes: 4 * KIB,
            priority: -1000..=1000,
            duration: Duration::from_secs(10 * 366 * 24 * 3600),
            problems: 100,
        }
    }
}
