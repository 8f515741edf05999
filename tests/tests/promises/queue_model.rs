//! What becomes of jobs of one task in queues with pauses, limits and keys: pure, and exact, because its time
//! is whole seconds.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::consumer::Taken;

/// Seconds of the model's clock.
pub(crate) type Time = i64;

pub(crate) const LEASE: Time = 60;
pub(crate) const BACKOFF: Time = 10;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// It can be taken from this time on.
    Waiting(Time),
    /// Until then, by that attempt.
    Leased {
        until: Time,
        attempt: i64,
    },
    Ended(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) queue: usize,
    pub(crate) priority: i32,
    pub(crate) state: State,
    pub(crate) attempts: i32,
    pub(crate) max_attempts: i32,
    /// A concurrency key, of which as many as its number may run.
    pub(crate) key: Option<usize>,
    pub(crate) unique: Option<usize>,
    pub(crate) expires_at: Option<Time>,
    pub(crate) has_started: bool,
    pub(crate) is_cancelled: bool,
    pub(crate) has_letter: bool,
}

impl Job {
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Ended(_))
    }

    /// It has failed for good, and leaves a dead letter.
    pub(crate) fn dies(&mut self) {
        self.state = State::Ended("failed");
        self.has_letter = true;
    }

    /// An attempt that counts has not succeeded.
    pub(crate) fn failed(&mut self, now: Time, is_final: bool) {
        self.attempts += 1;
        if self.is_cancelled {
            self.state = State::Ended("cancelled");
        } else if is_final || self.attempts >= self.max_attempts {
            self.dies();
        } else {
            self.state = State::Waiting(now + BACKOFF);
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) is_paused: bool,
    pub(crate) max_running: Option<usize>,
}

/// What the model knows. A transaction that is rolled back leaves it as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: Time,
    pub(crate) queues: [Queue; 2],
    pub(crate) jobs: BTreeMap<Uuid, Job>,
    /// What was taken and may still be spoken of, ended or not.
    pub(crate) taken: Vec<(Uuid, i64)>,
}

impl Model {
    pub(crate) fn running(&self, queue: usize) -> usize {
        let is_running =
            |job: &&Job| job.queue == queue && matches!(job.state, State::Leased { .. });
        self.jobs.values().filter(is_running).count()
    }

    pub(crate) fn room(&self, queue: usize) -> usize {
        let Queue { is_paused, max_running } = self.queues[queue];
        match is_paused {
            true => 0,
            false => {
                max_running.map_or(usize::MAX, |most| most.saturating_sub(self.running(queue)))
            }
        }
    }

    /// How many with a key have its place and run.
    pub(crate) fn with_key(&self, key: usize) -> usize {
        let has_it = |job: &&Job| job.key == Some(key) && matches!(job.state, State::Leased { .. });
        self.jobs.values().filter(has_it).count()
    }

    /// Checks what a consume has given, and notes it. `busy` is in another transaction.
    pub(crate) fn consumed(
        &mut self,
        queue: usize,
        num: usize,
        given: &[Taken],
        busy: &BTreeSet<Uuid>,
    ) {
        assert!(given.len() <= num.min(self.room(queue)), "{given:?} of {:?}", self.queues[queue]);
        for one in given {
            let now = self.now;
            let job = self.jobs.get_mut(&one.id).unwrap();
            assert_eq!((job.queue, job.attempts + 1), (queue, one.attempts), "{one:?}");
            assert!(!busy.contains(&one.id), "{one:?} is in another transaction");
            let State::Waiting(at) = job.state else { panic!("{one:?} was {job:?}") };
            assert!(at <= now, "{one:?} was {job:?} at {now}");
            (job.state, job.has_started) =
                (State::Leased { until: now + LEASE, attempt: one.attempt }, true);
            self.taken.push((one.id, one.attempt));
            if let Some(key) = self.jobs[&one.id].key {
                assert!(self.with_key(key) <= key + 1, "too many of key {key}");
            }
        }
        let lowest = given.iter().map(|one| self.jobs[&one.id].priority).min();
        // Places that another transaction has at hand count as taken.
        let is_limited = !busy.is_empty() && self.queues[queue].max_running.is_some();
        let is_full = given.len() == num || self.room(queue) == 0 || is_limited;
        for (id, job) in self.jobs.iter().filter(|(id, _)| !busy.contains(id)) {
            let is_ready = matches!(job.state, State::Waiting(at) if at <= self.now);
            // One that waits for its key is judged by who holds that: see compare.
            if job.queue == queue && is_ready && job.key.is_none() {
                let is_passed_over = !is_full || lowest.is_some_and(|lowest| job.priority > lowest);
                assert!(
                    !is_passed_over,
                    "{id} {job:?} was passed over for {given:?} at {}",
                    self.now
                );
            }
        }
    }

    /// A word about an attempt; false where it is refused as stale.
    pub(crate) fn spoken(&mut self, id: Uuid, attempt: i64, word: Word) -> bool {
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        if !matches!(job.state, State::Leased { attempt: current, .. } if current == attempt) {
            return false;
        }
        match word {
            Word::Ack => {
                job.attempts += 1;
                job.state = State::Ended("succeeded");
            }
            Word::Nack { is_final } => job.failed(now, is_final),
            Word::Release if job.is_cancelled => job.state = State::Ended("cancelled"),
            Word::Release => job.state = State::Waiting(now),
            Word::Renew => job.state = State::Leased { until: now + LEASE, attempt },
        }
        true
    }

    pub(crate) fn cancelled(&mut self, id: Uuid) {
        let job = self.jobs.get_mut(&id).unwrap();
        match job.state {
            State::Waiting(_) => job.state = State::Ended("cancelled"),
            State::Leased { .. } => job.is_cancelled = true,
            State::Ended(_) => {}
        }
    }

    /// Time passes, and whatever its end means for leases and jobs.
    pub(crate) fn passes(&mut self, seconds: Time) {
        self.now += seconds;
        let now = self.now;
        for job in self.jobs.values_mut() {
            match job.state {
                State::Leased { until, .. } if until <= now => job.failed(now, false),
                State::Waiting(_)
                    if !job.has_started && job.expires_at.is_some_and(|at| at <= now) =>
                {
                    job.dies();
                }
                _ => {}
            }
        }
    }

    /// The job that holds a unique key.
    pub(crate) fn holder(&self, queue: usize, unique: usize) -> Option<Uuid> {
        let holds = |job: &Job| job.queue == queue && job.unique == Some(unique) && job.is_open();
        self.jobs.iter().find(|(_, job)| holds(job)).map(|(id, _)| *id)
    }

    /// A copy of an ended job, with all its attempts before it.
    pub(crate) fn copied(&mut self, old: Uuid, new: Uuid) {
        let job = self.jobs.get_mut(&old).unwrap();
        job.has_letter = false;
        let copy = Job {
            state: State::Waiting(self.now),
            attempts: 0,
            unique: None,
            expires_at: None,
            has_started: false,
            is_cancelled: false,
            ..job.clone()
        };
        self.jobs.insert(new, copy);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    Ack,
    Nack { is_final: bool },
    Release,
    Renew,
}
