//! Enums of the wire and of `postq-common`, both ways.
//!
//! Invariant: to the wire and back gives the same.

use postq_common::{
    schedule::{CatchUp, Overlap},
    spec::{
        Delivery, Executor, Existing, Failure, KeepWorkspace, OnConflict, Pull, RunIf, Scope,
        WorkspaceUse,
    },
    state::{JobState, Outcome, TaskState},
};
use thiserror::Error;

use crate::v1;

/// The wire says nothing where something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is unspecified; a newer peer may mean something that this release does not know")]
pub struct Unspecified(pub &'static str);

/// Both ways, one by one, with a value of the wire that means nothing.
macro_rules! words {
    ($common:ident, $wire:ty, $what:literal, $nothing:ident: $($variant:ident = $other:ident),+) => {
        impl From<$common> for $wire {
            fn from(common: $common) -> Self {
                match common { $($common::$variant => Self::$other),+ }
            }
        }

        impl TryFrom<$wire> for $common {
            type Error = Unspecified;

            fn try_from(wire: $wire) -> Result<Self, Unspecified> {
                match wire {
                    $(<$wire>::$other => Ok(Self::$variant),)+
                    <$wire>::$nothing => Err(Unspecified($what)),
                }
            }
        }
    };
}

/// Both ways, one by one.
macro_rules! whole_words {
    ($common:ident, $wire:ty: $($variant:ident),+) => {
        impl From<$common> for $wire {
            fn from(common: $common) -> Self {
                match common { $($common::$variant => Self::$variant),+ }
            }
        }

        impl From<$wire> for $common {
            fn from(wire: $wire) -> Self {
                match wire { $(<$wire>::$variant => Self::$variant),+ }
            }
        }
    };
}

whole_words!(Overlap, v1::schedule::Overlap: Allow, Skip, Queue);
whole_words!(CatchUp, v1::schedule::CatchUp: Last, None, All);
words!(JobState, v1::job::State, "the state of a job", Unspecified:
    Scheduled = Scheduled, Queued = Queued, Running = Running,
    Succeeded = Succeeded, Failed = Failed, Cancelled = Cancelled);
words!(TaskState, v1::task::State, "the state of a task", Unspecified:
    Blocked = Blocked, Scheduled = Scheduled, Parked = Parked, Ready = Ready, Running = Running,
    Succeeded = Succeeded, Failed = Failed, Cancelled = Cancelled, Skipped = Skipped);
words!(Outcome, v1::attempt::Outcome, "the outcome of an attempt", Unspecified:
    Succeeded = Succeeded, Failed = Failed, TimedOut = TimedOut, Cancelled = Cancelled,
    Lost = Lost, Released = Released);
words!(Executor, v1::assignment::Executor, "the executor of an assignment", Unspecified:
    Shell = Shell, Docker = Docker, Handler = Handler);
words!(WorkspaceUse, v1::task_spec::Workspace, "the workspace of a task", Default:
    Files = Files, None = None);
whole_words!(RunIf, v1::task_spec::RunIf: Succeeded, Failed, Finished);
whole_words!(Pull, v1::task_spec::container::Pull: Missing, Always, Never);
whole_words!(Delivery, v1::task_spec::Delivery: AtLeastOnce, AtMostOnce);
whole_words!(Scope, v1::job_spec::unique::Scope: Queue, All);
whole_words!(Existing, v1::job_spec::unique::Existing: Keep, Replace);
whole_words!(Failure, v1::retry_policy::Outcome: Failed, TimedOut);
whole_words!(OnConflict, v1::job_spec::OnConflict: Fail, PreferLastDependency);
whole_words!(KeepWorkspace, v1::job_spec::KeepWorkspace: OnFailure, Always, Never);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_survives_the_wire() {
        for &state in JobState::ALL {
            assert_eq!(JobState::try_from(v1::job::State::from(state)), Ok(state));
        }
        for &state in TaskState::ALL {
            assert_eq!(TaskState::try_from(v1::task::State::from(state)), Ok(state));
        }
        for &outcome in Outcome::ALL {
            assert_eq!(Outcome::try_from(v1::attempt::Outcome::from(outcome)), Ok(outcome));
        }
        for &executor in Executor::ALL {
            assert_eq!(Executor::try_from(v1::assignment::Executor::from(executor)), Ok(executor));
        }
        for &run_if in RunIf::ALL {
            assert_eq!(RunIf::from(v1::task_spec::RunIf::from(run_if)), run_if);
        }
        assert!(JobState::try_from(v1::job::State::Unspecified).is_err());
    }
}
