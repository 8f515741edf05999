//! Whether any coordinator is heard, and what may not run where none is: a task that must not overlap
//! another execution of itself, which somebody else may be about to be given.
//!
//! It knows no coordinator and stops nothing. Invariant: an attempt is named once.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;
use postq_proto::v1;
use tokio::time::Instant;

/// So long without a word, and what must not overlap is killed. A coordinator takes such an attempt for
/// lost no sooner than twice as long after it has last heard its agent.
const ALONE_FOR: Duration = Duration::from_secs(5);

/// What becomes of tasks of which nobody hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhenAlone {
    /// They go on, unless they must not overlap.
    #[default]
    Finish,
    /// None may overlap.
    Stop,
}

/// Which attempts must not overlap, and since when nobody is heard.
#[derive(Debug, Default)]
pub(super) struct Alone {
    policy: WhenAlone,
    since: Option<Instant>,
    exclusive: BTreeSet<i64>,
}

impl Alone {
    pub(super) fn new(policy: WhenAlone) -> Self {
        Self { policy, ..Self::default() }
    }

    /// An attempt has come.
    pub(super) fn note(&mut self, assignment: &v1::Assignment) {
        if assignment.is_exclusive || self.policy == WhenAlone::Stop {
            self.exclusive.insert(assignment.attempt);
        }
    }

    /// It has ended.
    pub(super) fn forget(&mut self, attempt: i64) {
        self.exclusive.remove(&attempt);
    }

    /// A coordinator has said something.
    pub(super) fn heard(&mut self) {
        self.since = None;
    }

    /// The stream is gone.
    pub(super) fn silent(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Resolves when it has been silent for too long for something.
    pub(super) async fn is_over(&self) {
        match self.ends_at() {
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    fn ends_at(&self) -> Option<Instant> {
        let since = self.since.filter(|_| !self.exclusive.is_empty())?;
        Some(since + ALONE_FOR)
    }

    /// What is to be killed, once.
    pub(super) fn take(&mut self) -> BTreeSet<i64> {
        std::mem::take(&mut self.exclusive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(attempt: i64, is_exclusive: bool) -> v1::Assignment {
        v1::Assignment { attempt, is_exclusive, ..Default::default() }
    }

    #[test]
    fn what_must_not_overlap_is_over_five_seconds_after_the_last_word() {
        let mut alone = Alone::default();
        let silent = Instant::now();
        alone.note(&assignment(1, false));
        alone.silent(silent);
        assert_eq!(alone.ends_at(), None);
        alone.note(&assignment(2, true));
        alone.silent(silent + ALONE_FOR / 2);
        assert_eq!(alone.ends_at(), Some(silent + ALONE_FOR));
        assert_eq!(alone.take(), BTreeSet::from([2]));
        assert!(alone.take().is_empty());
    }

    #[test]
    fn a_word_in_time_lets_it_live() {
        let mut alone = Alone::default();
        let silent = Instant::now();
        alone.note(&assignment(1, true));
        alone.silent(silent);
        alone.heard();
        assert_eq!(alone.ends_at(), None);
        alone.silent(silent + ALONE_FOR);
        assert_eq!(alone.ends_at(), Some(silent + ALONE_FOR * 2));
        alone.forget(1);
        assert_eq!(alone.ends_at(), None);
    }
}
