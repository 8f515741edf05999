//! How the agent goes. Draining: nothing new is taken, and what runs may end within the drain
//! timeout. Handing back: what still runs is stopped and released. Farewell: reports get a moment
//! to be recorded; what is not stays on disk for the next start.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the last reports may take to be recorded.
const FAREWELL: Duration = Duration::from_secs(5);

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
    /// What still runs was told to stop.
    HandingBack {
        at_once: bool,
    },
    /// Nothing runs; until then reports may be recorded.
    Farewell(Instant),
    /// That moment is over.
    Gone,
}

impl Stage {
    pub(super) fn drain(timeout: Duration) -> Self {
        Self::Draining(Instant::now() + timeout)
    }

    pub(super) fn farewell() -> Self {
        Self::Farewell(Instant::now() + FAREWELL)
    }

    /// When it ends by itself.
    pub(super) async fn timeout(self) {
        match self {
            Self::Draining(at) | Self::Farewell(at) => tokio::time::sleep_until(at).await,
            Self::Working | Self::HandingBack { .. } | Self::Gone => std::future::pending().await,
        }
    }

    /// Whether the agent still takes assignments.
    pub(super) fn is_working(self) -> bool {
        self == Self::Working
    }
}
