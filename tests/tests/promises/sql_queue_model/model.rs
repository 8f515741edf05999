//! What becomes of jobs of one task in queues: pure, and exact, because its time is whole seconds.
//!
//! How a task moves is asked of `postq_common::state`; what is here is what stands around it: queues, keys,
//! rates, leases, dead letters, and jobs that wait for jobs.

use std::collections::BTreeMap;

use postq_common::{
    spec::{MaxAttempts, RunIf},
    state::{Event, GateCounts, Next, Outcome, TaskState, TaskView, next_task_state},
};
use uuid::Uuid;

/// Seconds of the model's clock.
pub(super) type Time = i64;

pub(super) const LEASE: Time = 60;
pub(super) const BACKOFF: Time = 10;
pub(super) const CRASH_LIMIT: u32 = 2;
/// How many of a rate may start within so many seconds.
pub(super) const RATES: [(usize, Time); 2] = [(2, 20), (1, 35)];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// Until other jobs have ended.
    Blocked,
    /// It can be taken from this time on.
    Waiting(Time),
    /// Until then, by that attempt of a consumer.
    Leased {
        until: Time,
        attempt: i64,
    },
    /// By that attempt of an agent.
    Claimed {
        attempt: i64,
    },
    Ended {
        as_state: TaskState,
        at: Time,
    },
}

/// What failed for good is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Letter {
    pub(super) died_at: Time,
    /// Who consumes it.
    pub(super) attempt: Option<i64>,
    /// Until when, or before when it is not offered again.
    pub(super) until: Option<Time>,
}

impl Letter {
    pub(super) fn is_free(&self, now: Time) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Nobody may take it away.
    pub(super) fn is_consumed(&self, now: Time) -> bool {
        self.attempt.is_some() && !self.is_free(now)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) queue: usize,
    pub(super) priority: i32,
    pub(super) handler: usize,
    /// Its attribute.
    pub(super) number: usize,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) max_attempts: i32,
    /// A concurrency key, of which one more than its number may run.
    pub(super) key: Option<usize>,
    pub(super) rate: Option<usize>,
    /// The jobs it waits for, what it wants of them, and from when on it may begin.
    pub(super) parents: Vec<Uuid>,
    pub(super) run_if: RunIf,
    pub(super) begins_at: Time,
    /// Its submission has been planned, so that it has a task.
    pub(super) is_planned: bool,
    pub(super) expires_at: Option<Time>,
    pub(super) has_started: bool,
    pub(super) is_cancelled: bool,
    /// Its attempts are not to be followed by others, or just the one under way.
    pub(super) is_at_most_once: bool,
    pub(super) is_last: bool,
    pub(super) letter: Option<Letter>,
}

impl Job {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Ended { .. })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Leased { .. } | State::Claimed { .. })
    }

    /// The attempt that is under way.
    pub(super) fn attempt(&self) -> Option<i64> {
        match self.state {
            State::Leased { attempt, .. } | State::Claimed { attempt } => Some(attempt),
            _ => None,
        }
    }

    fn view(&self, now: Time) -> TaskView {
        let state = match self.state {
            State::Blocked => TaskState::Blocked,
            State::Waiting(at) if at > now => TaskState::Scheduled,
            State::Waiting(_) => TaskState::Ready,
            State::Leased { .. } | State::Claimed { .. } => TaskState::Running,
            State::Ended { as_state, .. } => as_state,
        };
        TaskView {
            state,
            run_if: self.run_if,
            max_attempts: MaxAttempts::try_from(self.max_attempts).unwrap(),
            attempts: self.attempts,
            crashes: self.crashes,
            crash_limit: CRASH_LIMIT,
            is_cancel_requested: self.is_cancelled,
            is_at_most_once: self.is_last,
        }
    }

    /// Lets something happen to its task; false where it cannot.
    fn apply(&mut self, event: Event, now: Time) -> bool {
        let Ok(moved) = next_task_state(&self.view(now), event) else { return false };
        (self.attempts, self.crashes) = (moved.attempts, moved.crashes);
        self.state = match moved.next {
            Next::Blocked => State::Blocked,
            Next::Ready => State::Waiting(now.max(self.begins_at)),
            Next::Scheduled { .. } => State::Waiting(now + BACKOFF),
            Next::Running { is_cancel_requested } => {
                self.is_cancelled = is_cancel_requested;
                self.state
            }
            ended => State::Ended { as_state: ended.state(), at: now },
        };
        true
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) is_paused: bool,
    pub(super) max_running: Option<usize>,
    pub(super) max_jobs: Option<usize>,
    pub(super) keeps_letters: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { is_paused: false, max_running: None, max_jobs: None, keeps_letters: true }
    }
}

/// The schedule, while there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) queue: usize,
    pub(super) is_paused: bool,
    pub(super) last_job: Option<Uuid>,
    pub(super) fired: usize,
}

/// How an attempt is spoken of by its consumer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    Ack,
    Nack { is_final: bool, retry_at: Option<Time> },
    Release,
    Renew,
}

/// What the model knows. A transaction that is rolled back leaves it as it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) now: Time,
    pub(super) queues: [Queue; 2],
    /// Those that are not forgotten.
    pub(super) jobs: BTreeMap<Uuid, Job>,
    /// How all that ended did, the forgotten ones too.
    pub(super) outcomes: BTreeMap<Uuid, TaskState>,
    /// By scope (a queue, or all) and key: who has it, and until when.
    pub(super) unique: BTreeMap<(Option<usize>, usize), (Uuid, Option<Time>)>,
    /// When tasks with a rate have started.
    pub(super) starts: Vec<(usize, Time)>,
    /// What was taken and may still be spoken of, ended or not.
    pub(super) taken: Vec<(Uuid, i64)>,
    pub(super) schedule: Option<Schedule>,
}

impl Model {
    fn count(&self, is_counted: impl Fn(&Job) -> bool) -> usize {
        self.jobs.values().filter(|job| is_counted(job)).count()
    }

    pub(super) fn running(&self, queue: usize) -> usize {
        self.count(|job| job.queue == queue && job.is_running())
    }

    pub(super) fn open(&self, queue: usize) -> usize {
        self.count(|job| job.queue == queue && job.is_open())
    }

    /// A queue takes no more jobs.
    pub(super) fn is_full(&self, queue: usize) -> bool {
        self.queues[queue].max_jobs.is_some_and(|most| self.open(queue) >= most)
    }

    /// How many more of a queue may run.
    pub(super) fn room(&self, queue: usize) -> usize {
        let Queue { is_paused, max_running, .. } = self.queues[queue];
        match (is_paused, max_running) {
            (true, _) => 0,
            (false, None) => usize::MAX,
            (false, Some(most)) => most.saturating_sub(self.running(queue)),
        }
    }

    /// Something happens to the task of a job, and it is noted how it ended; false where it cannot.
    pub(super) fn apply(&mut self, id: Uuid, event: Event) -> bool {
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        if !job.is_open() || !job.apply(event, now) {
            return false;
        }
        if let State::Ended { as_state, at } = job.state {
            if as_state == TaskState::Failed && self.queues[job.queue].keeps_letters {
                job.letter = Some(Letter { died_at: at, attempt: None, until: None });
            }
            // A job whose tasks are skipped has failed.
            let of_job = if as_state == TaskState::Skipped { TaskState::Failed } else { as_state };
            self.outcomes.insert(id, of_job);
        }
        true
    }

    /// A task starts; what it may not do is a fault.
    pub(super) fn starts(&mut self, id: Uuid, state: State) {
        let now = self.now;
        if self.jobs[&id].state == State::Blocked {
            assert!(self.begins(id), "{id} was given before its parents: {:?}", self.jobs[&id]);
        }
        let job = self.jobs.get_mut(&id).unwrap();
        assert!(matches!(job.state, State::Waiting(at) if at <= now), "{id} was {job:?} at {now}");
        (job.state, job.has_started) = (state, true);
        let (queue, key, rate) = (job.queue, job.key, job.rate);
        self.taken.push((id, self.jobs[&id].attempt().unwrap()));
        if let Some(key) = key {
            let running = self.count(|job| job.key == Some(key) && job.is_running());
            assert!(running <= key + 1, "{running} of key {key} run");
        }
        if let Some(rate) = rate {
            let (most, period) = RATES[rate];
            self.starts.push((rate, now));
            let within = |(of, at): &&(usize, Time)| *of == rate && *at > now - period;
            let started = self.starts.iter().filter(within).count();
            assert!(started <= most, "{started} of rate {rate} have started within {period} s");
        }
        let Queue { is_paused, max_running, .. } = self.queues[queue];
        assert!(!is_paused, "{id} has started in a queue that is paused");
        // A limit that was lowered stops nothing that ran before; nothing starts until there is room.
        assert!(max_running.is_none_or(|most| self.running(queue) <= most), "too many run");
    }

    /// An attempt has ended; false where it is not the current one.
    pub(super) fn attempt_ended(
        &mut self,
        id: Uuid,
        attempt: i64,
        outcome: Outcome,
        is_final: bool,
    ) -> bool {
        self.jobs.get(&id).and_then(Job::attempt) == Some(attempt)
            && self.apply(id, Event::AttemptEnded { outcome, is_final })
    }

    /// A word of a consumer about a task or a dead letter; false where it is refused as stale.
    pub(super) fn spoken(&mut self, id: Uuid, attempt: i64, word: Word) -> bool {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        if job.letter.is_some_and(|letter| letter.attempt == Some(attempt)) {
            let letter = job.letter.as_mut().unwrap();
            (letter.attempt, letter.until) = match word {
                Word::Ack => {
                    job.letter = None;
                    return true;
                }
                Word::Nack { retry_at, .. } => (None, retry_at),
                Word::Release => (None, None),
                Word::Renew => (letter.attempt, Some(now + LEASE)),
            };
            return true;
        }
        if !matches!(job.state, State::Leased { attempt: current, .. } if current == attempt) {
            return false;
        }
        match word {
            Word::Ack => self.attempt_ended(id, attempt, Outcome::Succeeded, false),
            Word::Release => self.attempt_ended(id, attempt, Outcome::Released, false),
            Word::Renew => {
                job.state = State::Leased { until: now + LEASE, attempt };
                true
            }
            Word::Nack { is_final, retry_at } => {
                self.attempt_ended(id, attempt, Outcome::Failed, is_final);
                let state = &mut self.jobs.get_mut(&id).unwrap().state;
                if let (State::Waiting(at), Some(retry_at)) = (state, retry_at) {
                    *at = retry_at;
                }
                true
            }
        }
    }

    pub(super) fn cancelled(&mut self, id: Uuid) {
        self.apply(id, Event::CancelRequested);
    }

    /// Its time was over before it had started: its first tasks are skipped, and kept as dead letters.
    fn expires(&mut self, id: Uuid) {
        let now = self.now;
        let job = self.jobs.get_mut(&id).unwrap();
        job.state = State::Ended { as_state: TaskState::Skipped, at: now };
        if job.is_planned && self.queues[job.queue].keeps_letters {
            job.letter = Some(Letter { died_at: now, attempt: None, until: None });
        }
        self.outcomes.insert(id, TaskState::Failed);
    }

    /// Time passes, and what that means for leases and jobs.
    pub(super) fn passes(&mut self, seconds: Time) {
        self.now += seconds;
        let now = self.now;
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            let job = &self.jobs[&id];
            match job.state {
                State::Leased { until, attempt } if until <= now => {
                    self.attempt_ended(id, attempt, Outcome::TimedOut, false);
                }
                State::Waiting(_) | State::Blocked
                    if !job.has_started && job.expires_at.is_some_and(|at| at <= now) =>
                {
                    self.expires(id);
                }
                _ => {}
            }
        }
    }

    /// Lets a job begin that has waited for jobs, or skips it; false where it is not decided.
    pub(super) fn begins(&mut self, id: Uuid) -> bool {
        let job = &self.jobs[&id];
        if job.state != State::Blocked || !job.is_planned {
            return false;
        }
        let all = GateCounts::waiting_for(u32::try_from(job.parents.len()).unwrap());
        let ended = job.parents.iter().filter_map(|parent| self.outcomes.get(parent));
        let counts = ended.fold(all, |counts, ended| counts.with_ended(*ended, false));
        counts.open == 0 && self.apply(id, Event::ParentEnded(counts))
    }

    /// Whether a job that waits for jobs has yet to count how this one has ended.
    pub(super) fn is_awaited(&self, id: Uuid) -> bool {
        let waits = |job: &Job| job.state == State::Blocked && job.parents.contains(&id);
        self.jobs.values().any(|job| waits(job) && !job.is_planned)
    }

    /// A job is new. It has its unique key where it wants one.
    pub(super) fn submitted(&mut self, id: Uuid, job: Job) {
        assert!(self.jobs.insert(id, job).is_none(), "{id} was there already");
    }

    /// Who holds a unique key.
    pub(super) fn holder(&self, scope: Option<usize>, unique: usize) -> Option<Uuid> {
        let (id, until) = self.unique.get(&(scope, unique))?;
        let holds = match until {
            Some(until) => *until > self.now,
            None => self.jobs.get(id).is_some_and(Job::is_open),
        };
        holds.then_some(*id)
    }

    /// A copy of an ended job, with all its attempts before it.
    pub(super) fn copied(&mut self, old: Uuid, new: Uuid) {
        let now = self.now;
        let job = self.jobs.get_mut(&old).unwrap();
        job.letter = job.letter.filter(|letter| letter.is_consumed(now));
        let copy = Job {
            state: State::Waiting(now),
            attempts: 0,
            crashes: 0,
            parents: Vec::new(),
            run_if: RunIf::Succeeded,
            begins_at: now,
            expires_at: None,
            has_started: false,
            is_cancelled: false,
            is_last: false,
            letter: None,
            ..job.clone()
        };
        self.submitted(new, copy);
    }

    /// The letters of a queue, the oldest first.
    pub(super) fn letters(&self, queue: usize) -> Vec<(Uuid, Letter)> {
        let of_queue = self.jobs.iter().filter(|(_, job)| job.queue == queue);
        let mut letters: Vec<_> =
            of_queue.filter_map(|(id, job)| job.letter.map(|letter| (*id, letter))).collect();
        letters.sort_by_key(|(id, letter)| (letter.died_at, *id));
        letters
    }
}
