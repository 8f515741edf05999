//! One line of the list of attempts.

use postq_proto::v1;

use crate::stop::StopHandle;

/// An attempt that this agent has.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) of: v1::Held,
    pub(super) phase: Phase,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// On its way to the disk. A coordinator that asks has to wait for the answer.
    Accepting(StopHandle),
    /// On disk, and running or about to.
    Running(StopHandle),
    /// Ended; the report was not recorded yet.
    Reported(Box<v1::Report>, Wait),
    /// Disowned; it is being killed.
    Abandoned,
}

/// How long a report has waited to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Since the last look or less.
    New,
    /// Since the look before.
    Long,
    /// So long that it was made to outlast a loss of power.
    Secured,
    /// It is only in memory, so there is nothing to make outlast anything.
    Unwritten,
}

impl Wait {
    /// One look later.
    pub(super) fn on(self) -> Self {
        match self {
            Self::New => Self::Long,
            Self::Long | Self::Secured => Self::Secured,
            Self::Unwritten => Self::Unwritten,
        }
    }
}

impl Entry {
    /// Whether the coordinator is told of it.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Running(_) | Phase::Reported(..))
    }

    pub(super) fn is_accepting(&self) -> bool {
        matches!(self.phase, Phase::Accepting(_))
    }

    /// Whether nothing of it runs any more.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Reported(..))
    }

    /// How to stop it, while it can be.
    pub(super) fn stop_handle(&self) -> Option<&StopHandle> {
        match &self.phase {
            Phase::Accepting(stop) | Phase::Running(stop) => Some(stop),
            Phase::Reported(..) | Phase::Abandoned => None,
        }
    }
}
