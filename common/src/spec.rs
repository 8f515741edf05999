//! What a user wrote, as plain Rust types, and the means to say what is wrong with it.
//!
//! | file | owns |
//! |---|---|
//! | `job` | [`JobSpec`], [`TaskSpec`] and their enums |
//! | `retry_policy` | [`RetryPolicy`], [`MaxAttempts`] |
//! | `limits` | [`Limits`] |
//! | `needs` | [`Needs`], [`LabelRule`], and how amounts are written |
//! | `problem` | [`Problem`], [`Problems`] |
//! | `check` | the rules for the fields of one job and one task |
//! | `extras` | the rules for containers and secrets |
//! | `files` | the rules for what of a task's or a job's files is kept |
//! | `text` | the rules for names and other text |

mod check;
mod extras;
mod files;
mod job;
mod limits;
mod needs;
mod problem;
mod retry_policy;
mod text;

pub(crate) use check::check_fields;
pub(crate) use job::words;
pub use job::{
    After, Concurrency, Container, Delivery, Executor, Existing, JobSpec, KeepWorkspace,
    OnConflict, Pull, Rate, RunIf, Scope, Start, TaskSpec, Unique, UnknownWord, WorkspaceUse,
};
pub use limits::Limits;
pub use needs::{
    CPUS, LabelNeed, LabelRule, LabelTest, MEMORY, Needs, Resources, amount, bytes, shown_amount,
    shown_bytes,
};
pub use problem::{Problem, Problems};
pub use retry_policy::{BadMaxAttempts, Failure, MaxAttempts, RetryPolicy};
pub(crate) use text::name_fault;
pub use text::shown;
