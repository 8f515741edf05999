//! Whether the agent may begin anything, as far as its disk is concerned.
//!
//! It writes nothing itself. Invariant: once the disk has failed an attempt, no other one begins
//! until a probe has shown that it takes writes again, and the pauses grow while it fails again
//! and again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

/// From a failure to the first probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two probes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum State {
    Well,
    /// Until the next probe.
    Paused(Instant),
    /// A probe is under way.
    Probing,
}

/// What is known of the disk.
#[derive(Debug)]
pub(super) struct DiskWatch {
    state: State,
    pause: Duration,
}

impl Default for DiskWatch {
    fn default() -> Self {
        Self { state: State::Well, pause: FIRST_PAUSE }
    }
}

impl DiskWatch {
    /// Whether nothing may begin.
    pub(super) fn is_paused(&self) -> bool {
        !matches!(self.state, State::Well)
    }

    /// It has failed. Returns whether that is news.
    pub(super) fn failed(&mut self, why: &str) -> bool {
        let is_news = !self.is_paused();
        if is_news {
            warn!(why, "the disk of the work directory fails; nothing is begun until it works");
            self.wait();
        }
        is_news
    }

    /// Resolves when it is time for a probe.
    pub(super) async fn is_due(&self) {
        match self.state {
            State::Paused(until) => tokio::time::sleep_until(until).await,
            State::Well | State::Probing => std::future::pending().await,
        }
    }

    /// A probe is begun.
    pub(super) fn begin_probe(&mut self) {
        self.state = State::Probing;
    }

    /// What the probe has shown. Returns whether work goes on.
    pub(super) fn probed(&mut self, problem: Option<&str>) -> bool {
        match problem {
            None => {
                info!("the disk of the work directory takes writes again");
                self.state = State::Well;
            }
            Some(_) => self.wait(),
        }
        problem.is_none()
    }

    /// An attempt was begun and ended on it.
    pub(super) fn worked(&mut self) {
        if !self.is_paused() {
            self.pause = FIRST_PAUSE;
        }
    }

    fn wait(&mut self) {
        self.state = State::Paused(Instant::now() + self.pause);
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause that has just begun, in seconds.
    fn pause(disk: &DiskWatch) -> f64 {
        match disk.state {
            State::Paused(until) => (until - Instant::now()).as_secs_f64().ceil(),
            State::Well | State::Probing => 0.0,
        }
    }

    #[test]
    fn pauses_grow_until_something_works() {
        let mut disk = DiskWatch::default();
        assert!(disk.failed("full") && !disk.failed("full"));
        let mut pauses = vec![pause(&disk)];
        for _ in 0..2 {
            disk.begin_probe();
            assert!(disk.is_paused() && !disk.probed(Some("full")));
            pauses.push(pause(&disk));
        }
        assert_eq!(pauses, [1.0, 2.0, 4.0]);
        assert!(disk.probed(None) && !disk.is_paused());
        disk.failed("again");
        assert_eq!(pause(&disk), 8.0, "nothing has worked in between");
        disk.probed(None);
        disk.worked();
        disk.failed("much later");
        assert_eq!(pause(&disk), 1.0);
    }
}
