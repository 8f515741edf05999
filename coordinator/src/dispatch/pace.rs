//! Whether an agent's tasks are long, so that it pays to tell it what waits; and what it was told.
//!
//! Invariant: between two changes of what it runs it is told of nothing twice, and the more seldom the more
//! often it was told.

use std::time::Duration;

use postq_common::ahead::TaskKey;
use tokio::time::Instant;

/// Where nothing begins or ends for so long, tasks are long.
const STEADY: Duration = Duration::from_secs(1);
/// After so many guesses in a row that were wrong, the wait for the next one grows no more.
const DOUBLINGS: u32 = 6;

/// Of one agent.
#[derive(Debug)]
pub(super) struct Pace {
    /// When it last began or ended an attempt.
    changed_at: Instant,
    /// Nothing had changed for long when it last ended one.
    was_steady: bool,
    told: Option<Told>,
}

/// What it was told since something changed.
#[derive(Debug)]
struct Told {
    /// The last of them.
    task: TaskKey,
    /// How many there were before, which others took.
    wrong: u32,
    at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { changed_at: now, was_steady: false, told: None }
    }

    pub(super) fn begun(&mut self, now: Instant) {
        (self.changed_at, self.told) = (now, None);
    }

    pub(super) fn ended(&mut self, now: Instant) {
        self.was_steady = now >= self.changed_at + STEADY;
        (self.changed_at, self.told) = (now, None);
    }

    /// From when on its tasks count as long, if nothing changes.
    pub(super) fn steady_at(&self) -> Instant {
        if self.was_steady { self.changed_at } else { self.changed_at + STEADY }
    }

    pub(super) fn changed_at(&self) -> Instant {
        self.changed_at
    }

    /// It is told of a task.
    pub(super) fn tell(&mut self, task: TaskKey, at: Instant) {
        let wrong = self.told.as_ref().map_or(0, |told| told.wrong + 1);
        self.told = Some(Told { task, wrong, at });
    }

    pub(super) fn told(&self) -> Option<TaskKey> {
        self.told.as_ref().map(|told| told.task)
    }

    /// Whether it may be told of another task now, if that one is gone. Each that goes to others was
    /// fetched in vain.
    pub(super) fn may_be_told(&self, now: Instant) -> bool {
        let wait = |told: &Told| STEADY * (1 << told.wrong.min(DOUBLINGS));
        self.told.as_ref().is_none_or(|told| now >= told.at + wait(told))
    }
}

#[cfg(test)]
mod tests {
    use postq_common::id::{JobId, TaskNumber};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_has_long_tasks_is_steady_after_a_second_and_then_from_the_beginning_of_the_next() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(at(0));
        pace.begun(at(10));
        assert_eq!(pace.steady_at(), at(1010));
        pace.ended(at(1500));
        pace.begun(at(1501));
        assert_eq!(pace.steady_at(), at(1501));
    }

    #[test]
    fn who_has_short_tasks_is_never_steady_in_time() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for n in 0..9 {
            let at = start + n * STEADY;
            pace.begun(at);
            assert_eq!(pace.steady_at(), at + STEADY);
            pace.ended(at + STEADY / 2);
        }
    }

    #[test]
    fn who_is_told_of_what_others_take_is_told_more_and_more_seldom_until_something_changes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let task = (JobId(Uuid::nil()), TaskNumber(0));
        let mut pace = Pace::new(start);
        assert!(pace.may_be_told(start));
        pace.tell(task, at(0));
        assert!(!pace.may_be_told(at(999)) && pace.may_be_told(at(1000)));
        pace.tell(task, at(1000));
        assert!(!pace.may_be_told(at(2999)) && pace.may_be_told(at(3000)));
        pace.tell(task, at(3000));
        assert!(!pace.may_be_told(at(6999)) && pace.may_be_told(at(7000)));
        pace.ended(at(7000));
        pace.tell(task, at(7000));
        assert!(!pace.may_be_told(at(7999)) && pace.may_be_told(at(8000)));
        (0..99).for_each(|_| pace.tell(task, at(8000)));
        assert!(pace.may_be_told(at(8000) + STEADY * 64));
    }
}
