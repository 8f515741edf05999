//! The states of jobs and tasks and the outcomes of attempts, and their words in SQL and messages.

use std::{fmt, str::FromStr};

use crate::spec::words;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// It waits for its time.
    Scheduled,
    /// It may run; nothing of it was claimed yet.
    Queued,
    /// At least one task was claimed.
    Running,
    /// Every task ended, none failed, none was cancelled.
    Succeeded,
    /// A task failed.
    Failed,
    /// Someone asked, and no task failed.
    Cancelled,
}
words!(JobState, "job state":
    Scheduled = "scheduled", Queued = "queued", Running = "running",
    Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled");

impl JobState {
    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// It waits for its parents.
    Blocked,
    /// It waits for its time: a retry.
    Scheduled,
    /// It waits for a concurrency key or rate.
    Parked,
    /// It can be claimed.
    Ready,
    /// It has a current attempt.
    Running,
    /// An attempt succeeded.
    Succeeded,
    /// It used up its attempts or its crash limit.
    Failed,
    /// Someone asked.
    Cancelled,
    /// An ancestor did not succeed, or `run_if` does not hold.
    Skipped,
}
words!(TaskState, "task state":
    Blocked = "blocked", Scheduled = "scheduled", Parked = "parked", Ready = "ready",
    Running = "running", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled",
    Skipped = "skipped");

impl TaskState {
    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The command did what it was to do.
    Succeeded,
    /// It did not, or could not be started.
    Failed,
    /// It ran longer than it may.
    TimedOut,
    /// It was stopped because someone asked.
    Cancelled,
    /// Its agent died or fell silent.
    Lost,
    /// Given back: undelivered or drained.
    Released,
}
words!(Outcome, "outcome":
    Succeeded = "succeeded", Failed = "failed", TimedOut = "timed_out", Cancelled = "cancelled",
    Lost = "lost", Released = "released");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for &state in JobState::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        for &state in TaskState::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        for &outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        assert!("done".parse::<JobState>().is_err());
    }
}
