//! The legal moves of jobs, tasks and attempts. The SQL functions repeat them as guards, and a model
//! test compares both.
//!
//! | file | owns |
//! |---|---|
//! | `words` | [`JobState`], [`TaskState`], [`Outcome`] |
//! | `task` | [`next_task_state`]: every move of a task |
//! | `gate` | [`resolve`]: what becomes of a task whose parents have ended |
//! | `job` | [`next_job_state`], [`job_outcome`] |

mod gate;
mod job;
mod task;
mod words;

pub use gate::{GateCounts, GateDecision, resolve};
pub use job::{IllegalJobMove, JobEvent, TaskCounts, job_outcome, next_job_state};
pub use task::{DEFAULT_CRASH_LIMIT, Event, IllegalMove, Moved, Next, TaskView, next_task_state};
pub use words::{JobState, Outcome, TaskState};
