//! What becomes of a task whose parents have ended.
//!
//! A parent counts as `unsuccessful` when it did not succeed, and also as `failed` when it failed or
//! was skipped after a failure; so a failure is seen through any number of skipped tasks.

use super::TaskState;
use crate::spec::RunIf;

/// What a gate counts of its parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GateCounts {
    /// Not ended.
    pub open: u32,
    /// Failed, or skipped after a failure.
    pub failed: u32,
    /// Ended, but not succeeded; the failed ones among them.
    pub unsuccessful: u32,
}

impl GateCounts {
    /// A gate of so many parents, none of which has ended.
    pub fn waiting_for(parents: u32) -> Self {
        Self { open: parents, ..Self::default() }
    }

    /// After one more parent has ended in `state`; `after_failure` says so of a skipped one.
    #[must_use]
    pub fn with_ended(self, state: TaskState, after_failure: bool) -> Self {
        let failed = match state {
            TaskState::Failed => true,
            TaskState::Skipped => after_failure,
            _ => false,
        };
        Self {
            open: self.open.saturating_sub(1),
            failed: self.failed + u32::from(failed),
            unsuccessful: self.unsuccessful + u32::from(state != TaskState::Succeeded),
        }
    }
}

/// What a task that waits at a gate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateDecision {
    /// A parent has not ended.
    Wait,
    /// It can be claimed.
    Ready,
    /// It will not run.
    Skipped {
        /// A failure is among the reasons.
        after_failure: bool,
    },
}

/// Whether a task with `run_if` runs, given what its gate counts.
pub fn resolve(run_if: RunIf, counts: GateCounts) -> GateDecision {
    if counts.open > 0 {
        return GateDecision::Wait;
    }
    let holds = match run_if {
        RunIf::Succeeded => counts.unsuccessful == 0,
        RunIf::Failed => counts.failed > 0,
        RunIf::Finished => true,
    };
    match holds {
        true => GateDecision::Ready,
        false => GateDecision::Skipped { after_failure: counts.failed > 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(open: u32, failed: u32, unsuccessful: u32) -> GateCounts {
        GateCounts { open, failed, unsuccessful }
    }

    #[test]
    fn a_gate_with_an_open_parent_waits_whatever_the_others_did() {
        for &run_if in RunIf::ALL {
            for failed in 0..2 {
                assert_eq!(resolve(run_if, counts(1, failed, 1)), GateDecision::Wait);
            }
        }
    }

    #[test]
    fn every_condition_meets_every_kind_of_end() {
        use GateDecision::{Ready, Skipped};
        let (all_succeeded, cancelled, failed) =
            (counts(0, 0, 0), counts(0, 0, 1), counts(0, 1, 1));
        let table = [
            (RunIf::Succeeded, all_succeeded, Ready),
            (RunIf::Succeeded, cancelled, Skipped { after_failure: false }),
            (RunIf::Succeeded, failed, Skipped { after_failure: true }),
            (RunIf::Failed, all_succeeded, Skipped { after_failure: false }),
            (RunIf::Failed, cancelled, Skipped { after_failure: false }),
            (RunIf::Failed, failed, Ready),
            (RunIf::Finished, all_succeeded, Ready),
            (RunIf::Finished, cancelled, Ready),
            (RunIf::Finished, failed, Ready),
        ];
        for (run_if, counts, wanted) in table {
            assert_eq!(resolve(run_if, counts), wanted, "{run_if} {counts:?}");
        }
    }

    #[test]
    fn a_failure_is_seen_through_skipped_tasks_and_a_cancel_is_not_one() {
        let start = GateCounts::waiting_for(1);
        assert_eq!(start.with_ended(TaskState::Succeeded, false), counts(0, 0, 0));
        assert_eq!(start.with_ended(TaskState::Failed, false), counts(0, 1, 1));
        assert_eq!(start.with_ended(TaskState::Cancelled, false), counts(0, 0, 1));
        assert_eq!(start.with_ended(TaskState::Skipped, false), counts(0, 0, 1));
        assert_eq!(start.with_ended(TaskState::Skipped, true), counts(0, 1, 1));
    }
}
