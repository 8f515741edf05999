//! Every move of a job, and what its tasks make of it.

use thiserror::Error;

use super::{JobState, TaskState};

/// How many tasks of a job are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Not ended.
    pub open: u32,
    /// Succeeded.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
    /// Skipped.
    pub skipped: u32,
}

impl TaskCounts {
    /// Counts these states.
    pub fn of(states: impl IntoIterator<Item = TaskState>) -> Self {
        let mut counts = Self::default();
        for state in states {
            let count = match state {
                TaskState::Succeeded => &mut counts.succeeded,
                TaskState::Failed => &mut counts.failed,
                TaskState::Cancelled => &mut counts.cancelled,
                TaskState::Skipped => &mut counts.skipped,
                _ => &mut counts.open,
            };
            *count += 1;
        }
        counts
    }
}

/// How a job with these tasks ends: the worst of them; none while one is open. A skipped task is no
/// worse than what it was skipped for.
pub fn job_outcome(counts: &TaskCounts) -> Option<JobState> {
    match counts {
        TaskCounts { open: 1.., .. } => None,
        TaskCounts { failed: 1.., .. } => Some(JobState::Failed),
        TaskCounts { cancelled: 1.., .. } => Some(JobState::Cancelled),
        _ => Some(JobState::Succeeded),
    }
}

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// Its time has come.
    Due,
    /// One of its tasks was claimed.
    TaskClaimed,
    /// Some of its tasks moved, and these are where they are now.
    TasksMoved(TaskCounts),
}

/// A move that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a job that is {state} cannot take {event:?}")]
pub struct IllegalJobMove {
    /// Where the job is, and stays.
    pub state: JobState,
    /// What was to happen to it.
    pub event: JobEvent,
}

/// Where a job that is in `state` goes when `event` happens.
pub fn next_job_state(state: JobState, event: JobEvent) -> Result<JobState, IllegalJobMove> {
    use JobState as S;
    match (state, event) {
        (S::Scheduled, JobEvent::Due) => Ok(S::Queued),
        (S::Queued | S::Running, JobEvent::TaskClaimed) => Ok(S::Running),
        // A job that waits for its time can end by a cancel.
        (S::Scheduled | S::Queued | S::Running, JobEvent::TasksMoved(counts)) => {
            Ok(job_outcome(&counts).unwrap_or(state))
        }
        _ => Err(IllegalJobMove { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended_as(states: &[TaskState]) -> Option<JobState> {
        job_outcome(&TaskCounts::of(states.iter().copied()))
    }

    #[test]
    fn a_job_ends_as_the_worst_of_its_tasks() {
        use TaskState as T;
        let table = [
            (&[T::Succeeded, T::Succeeded][..], Some(JobState::Succeeded)),
            (&[T::Succeeded, T::Skipped], Some(JobState::Succeeded)),
            (&[T::Succeeded, T::Cancelled, T::Skipped], Some(JobState::Cancelled)),
            (&[T::Cancelled, T::Failed, T::Skipped], Some(JobState::Failed)),
            (&[T::Failed, T::Running], None),
            (&[T::Blocked], None),
            (&[T::Scheduled], None),
            (&[T::Parked], None),
            (&[T::Ready], None),
        ];
        for (states, wanted) in table {
            assert_eq!(ended_as(states), wanted, "{states:?}");
        }
    }

    #[test]
    fn every_pair_of_job_state_and_event_has_its_move_or_none() {
        use JobState as S;
        let open = JobEvent::TasksMoved(TaskCounts { open: 1, ..TaskCounts::default() });
        let failed = JobEvent::TasksMoved(TaskCounts { failed: 1, ..TaskCounts::default() });
        for &state in S::ALL {
            for event in [JobEvent::Due, JobEvent::TaskClaimed, open, failed] {
                let wanted = match (state, event) {
                    (S::Scheduled, JobEvent::Due) => Some(S::Queued),
                    (S::Queued | S::Running, JobEvent::TaskClaimed) => Some(S::Running),
                    (S::Scheduled | S::Queued | S::Running, event) if event == open => Some(state),
                    (S::Scheduled | S::Queued | S::Running, event) if event == failed => {
                        Some(S::Failed)
                    }
                    _ => None,
                };
                assert_eq!(next_job_state(state, event).ok(), wanted, "{state} {event:?}");
            }
        }
    }
}
