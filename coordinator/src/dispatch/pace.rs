//! Whether an agent's tasks are long, so that it pays to tell it what waits; and what it was told.
//!
//! Invariant: it is told of nothing twice between two changes of what it runs.

use std::time::Duration;

use postq_common::ahead::TaskKey;
use tokio::time::Instant;

/// Where nothing begins or ends for so long, tasks are long.
const STEADY: Duration = Duration::from_secs(1);

/// Of one agent.
#[derive(Debug)]
pub(super) struct Pace {
    /// When it last began or ended an attempt.
    changed_at: Instant,
    /// Nothing had changed for long when it last ended one.
    was_steady: bool,
    told: Option<TaskKey>,
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
    pub(super) fn tell(&mut self, task: TaskKey) {
        self.told = Some(task);
    }

    pub(super) fn told(&self) -> Option<TaskKey> {
        self.told
    }
}

#[cfg(test)]
mod tests {
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
}
