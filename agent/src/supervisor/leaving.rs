//! How the agent goes. Draining: nothing new is taken, and what runs may end within the drain
//! timeout. Handing back: what still runs is stopped and released. Farewell: reports get a moment
//! to be recorded; what is not stays on disk for the next start.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{desk::Desk, entry::Entry};
use crate::stop::Stop;

/// How long the last reports may take to be recorded.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long what was told to stop may take: with the grace it was given, and when there is none.
/// Every attempt is bounded by itself; this is for what hangs (a disk, an engine), so that the agent
/// leaves all the same.
const HAND_BACK: Duration = Duration::from_secs(10 * 60);
const HAND_BACK_AT_ONCE: Duration = Duration::from_secs(30);

/// The two words that make an agent go.
#[derive(Clone, Debug, Default)]
pub struct Leave {
    /// Take nothing new, let what runs end, go.
    pub drain: CancellationToken,
    /// Stop what runs, go.
    pub now: CancellationToken,
}

/// Where the agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Working,
    /// Until then what runs may end by itself.
    Draining(Instant),
    /// What still runs was told to stop, and is waited for until then.
    HandingBack {
        at_once: bool,
        until: Instant,
    },
    /// Nothing runs; until then reports may be recorded.
    Farewell(Instant),
    /// That moment is over.
    Gone,
}

impl Stage {
    fn drain(timeout: Duration) -> Self {
        Self::Draining(Instant::now() + timeout)
    }

    fn hand_back(at_once: bool) -> Self {
        let patience = if at_once { HAND_BACK_AT_ONCE } else { HAND_BACK };
        Self::HandingBack { at_once, until: Instant::now() + patience }
    }

    fn farewell() -> Self {
        Self::Farewell(Instant::now() + FAREWELL)
    }

    /// When it ends by itself.
    pub(super) async fn timeout(self) {
        match self {
            Self::Draining(at) | Self::Farewell(at) | Self::HandingBack { until: at, .. } => {
                tokio::time::sleep_until(at).await;
            }
            Self::Working | Self::Gone => std::future::pending().await,
        }
    }

    /// Whether the agent still takes assignments.
    pub(super) fn is_working(self) -> bool {
        self == Self::Working
    }
}

impl Desk {
    pub(super) fn drain(&mut self) {
        info!(running = self.running(), "taking nothing new, and leaving when what runs has ended");
        self.runner.files.stop_prefetch();
        self.stage = Stage::drain(self.drain_timeout);
    }

    pub(super) fn hand_back(&mut self, at_once: bool) {
        self.runner.files.stop_prefetch();
        let stop = if at_once { Stop::ReleaseNow } else { Stop::Release };
        for handle in self.entries.values().filter_map(Entry::stop_handle) {
            handle.stop(stop.clone());
        }
        self.stage = Stage::hand_back(at_once);
    }

    pub(super) fn is_told_now(&self) -> bool {
        matches!(self.stage, Stage::HandingBack { at_once: true, .. } | Stage::Farewell(_))
    }

    pub(super) fn stage_timed_out(&mut self) {
        match self.stage {
            Stage::Draining(_) => self.hand_back(false),
            Stage::HandingBack { at_once: false, .. } => self.hand_back(true),
            Stage::HandingBack { at_once: true, .. } => {
                warn!(running = self.running(), "leaving, though not all that runs has ended");
                self.stage = Stage::farewell();
            }
            // What could not be recorded stays on disk.
            Stage::Farewell(_) => self.stage = Stage::Gone,
            Stage::Working | Stage::Gone => {}
        }
    }

    fn running(&self) -> usize {
        self.entries.values().filter(|entry| !entry.has_ended()).count()
    }

    /// Moves on to the farewell when nothing runs any more; true when even that is over.
    pub(super) fn may_go(&mut self) -> bool {
        if matches!(self.stage, Stage::Draining(_) | Stage::HandingBack { .. })
            && self.running() == 0
        {
            self.stage = Stage::farewell();
        }
        match self.stage {
            Stage::Farewell(_) => self.entries.is_empty(),
            Stage::Gone => true,
            _ => false,
        }
    }
}
