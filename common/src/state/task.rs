//! Every move of a task, in one function.
//!
//! It knows no database: what is an [`IllegalMove`] here is a guard there that matches no row.
//! Invariant: what is terminal stays; attempts never exceed their maximum nor crashes their limit.

use thiserror::Error;

use super::{GateCounts, GateDecision, Outcome, TaskState, gate::resolve};
use crate::spec::{MaxAttempts, RunIf};

/// How often a task may be lost with its agent before it fails.
pub const DEFAULT_CRASH_LIMIT: u32 = 5;

/// What a move depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Where the task is.
    pub state: TaskState,
    /// What it wants of its parents.
    pub run_if: RunIf,
    /// Executions that may count.
    pub max_attempts: MaxAttempts,
    /// Executions that ended and counted.
    pub attempts: u32,
    /// Executions that were lost.
    pub crashes: u32,
    /// Losses that end it.
    pub crash_limit: u32,
    /// Someone asked to stop it, and it runs.
    pub is_cancel_requested: bool,
    /// It is never given again where it may have been started.
    pub is_at_most_once: bool,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A parent ended, and its gate counts this now.
    ParentEnded(GateCounts),
    /// Its time has come.
    Due,
    /// Its concurrency key or rate has room.
    Admitted,
    /// It was given to an agent.
    Claimed,
    /// Someone asks to stop it.
    CancelRequested,
    /// Its current attempt ended.
    AttemptEnded {
        /// How.
        outcome: Outcome,
        /// Trying again cannot help, or its policy does not cover it (see [`crate::retry::covers`]).
        is_final: bool,
    },
}

/// Where a task goes, with what belongs to being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on waiting for its parents.
    Blocked,
    /// It can be claimed.
    Ready,
    /// It waits before its next attempt.
    Scheduled {
        /// Which retry this is, from 1: the argument of [`crate::retry::delay`].
        retry: u32,
    },
    /// It has a current attempt.
    Running {
        /// Its agent has been or is to be asked to stop.
        is_cancel_requested: bool,
    },
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was stopped because someone asked.
    Cancelled,
    /// It never ran.
    Skipped {
        /// A failure is among the reasons.
        after_failure: bool,
    },
}

impl Next {
    /// The state alone.
    pub fn state(self) -> TaskState {
        match self {
            Self::Blocked => TaskState::Blocked,
            Self::Ready => TaskState::Ready,
            Self::Scheduled { .. } => TaskState::Scheduled,
            Self::Running { .. } => TaskState::Running,
            Self::Succeeded => TaskState::Succeeded,
            Self::Failed => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Skipped { .. } => TaskState::Skipped,
        }
    }
}

/// A move that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where the task is now.
    pub next: Next,
    /// Executions that ended and counted, now.
    pub attempts: u32,
    /// Executions that were lost, now.
    pub crashes: u32,
}

/// A move that does not exist: whoever asked for it came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a task that is {state} cannot take {event:?}")]
pub struct IllegalMove {
    /// Where the task is, and stays.
    pub state: TaskState,
    /// What was to happen to it.
    pub event: Event,
}

/// Where `task` goes when `event` happens.
pub fn next_task_state(task: &TaskView, event: Event) -> Result<Moved, IllegalMove> {
    use TaskState as S;
    let next = match (task.state, event) {
        (S::Running, Event::AttemptEnded { outcome, is_final }) => {
            return Ok(attempt_ended(task, outcome, is_final));
        }
        (S::Blocked, Event::ParentEnded(counts)) => match resolve(task.run_if, counts) {
            GateDecision::Wait => Next::Blocked,
            GateDecision::Ready => Next::Ready,
            GateDecision::Skipped { after_failure } => Next::Skipped { after_failure },
        },
        (S::Scheduled, Event::Due) | (S::Parked, Event::Admitted) => Next::Ready,
        (S::Ready, Event::Claimed) => Next::Running { is_cancel_requested: false },
        (S::Running, Event::CancelRequested) => Next::Running { is_cancel_requested: true },
        (S::Blocked | S::Scheduled | S::Parked | S::Ready, Event::CancelRequested) => {
            Next::Cancelled
        }
        (state, event) => return Err(IllegalMove { state, event }),
    };
    Ok(Moved { next, attempts: task.attempts, crashes: task.crashes })
}

/// The table of attempt outcome and situation.
fn attempt_ended(task: &TaskView, outcome: Outcome, is_final: bool) -> Moved {
    let (attempts, crashes) = match outcome {
        Outcome::Succeeded | Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => {
            (task.attempts.saturating_add(1), task.crashes)
        }
        Outcome::Lost => (task.attempts, task.crashes.saturating_add(1)),
        Outcome::Released => (task.attempts, task.crashes),
    };
    let next = match outcome {
        Outcome::Succeeded => Next::Succeeded,
        _ if task.is_cancel_requested => Next::Cancelled,
        Outcome::Released => Next::Ready,
        _ if task.is_at_most_once => Next::Failed,
        Outcome::Lost if crashes < task.crash_limit => Next::Ready,
        Outcome::Lost => Next::Failed,
        // A stop that nobody asked for is a failure.
        Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => {
            if !is_final && task.max_attempts.allows_after(attempts) {
                Next::Scheduled { retry: attempts }
            } else {
                Next::Failed
            }
        }
    };
    Moved { next, attempts, crashes }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
