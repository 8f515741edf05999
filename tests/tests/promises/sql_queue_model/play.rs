//! Both sides of the play, its sessions and transactions, and what is done next.

use std::collections::{BTreeMap, BTreeSet};

use postq_coordinator::store::Store;
use postq_tests::{Claimed, Database, Session, Worker};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::model::{Job, Model, Time};

const SESSIONS: usize = 4;
pub(super) const QUEUES: [&str; 2] = ["left", "right"];
/// Replaces the clock that goes on by one that stands still.
const STANDING_CLOCK: &str = "
    create or replace function postq.now() returns timestamptz language sql stable
    set search_path = pg_catalog, postq, pg_temp
    as $$ select '2040-01-01 00:00:00+00'::timestamptz + ahead from postq.test_clock $$";
/// More rounds of anything than it can ever take.
const MANY: usize = 200;

/// A transaction that was left open after a consume, and what of the model has changed once it has committed.
pub(super) struct Open {
    session: usize,
    jobs: BTreeMap<Uuid, Job>,
    taken: Vec<(Uuid, i64)>,
    starts: Vec<(usize, Time)>,
}

pub(super) struct Play {
    rng: StdRng,
    pub(super) database: Database,
    /// What a coordinator does, by its own code.
    pub(super) store: Store,
    pub(super) sessions: Vec<Session>,
    pub(super) worker: Worker,
    /// Attempts of the worker, and those it has ended.
    pub(super) held: Vec<Claimed>,
    pub(super) ended: Vec<Claimed>,
    pub(super) model: Model,
    pub(super) open: Option<Open>,
    /// How often each operation was done.
    pub(super) done: BTreeMap<&'static str, usize>,
}

impl Play {
    pub(super) async fn start(seed: u64) -> Self {
        let database = Database::create().await;
        database.execute(STANDING_CLOCK).await;
        for queue in QUEUES {
            database.execute(&format!("select postq.create_queue('{queue}')")).await;
        }
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(database.session().await);
        }
        Self {
            rng: StdRng::seed_from_u64(seed),
            store: Store::open(database.options().clone(), 2),
            worker: Worker::connect(&database).await,
            database,
            sessions,
            held: Vec::new(),
            ended: Vec::new(),
            model: Model::default(),
            open: None,
            done: BTreeMap::new(),
        }
    }

    pub(super) fn pick(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    /// One of these; what is named twice comes twice as often.
    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.pick(all.len())]
    }

    pub(super) fn random_bytes(&mut self) -> [u8; 10] {
        self.rng.random()
    }

    /// A session that has no transaction open.
    pub(super) fn session(&mut self) -> usize {
        let open = self.open.as_ref().map(|open| open.session);
        loop {
            let n = self.pick(SESSIONS);
            if Some(n) != open {
                return n;
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Jobs that the open transaction has at hand.
    pub(super) fn busy(&self) -> BTreeSet<Uuid> {
        self.open.iter().flat_map(|open| open.jobs.keys().copied()).collect()
    }

    pub(super) fn any_job(&mut self) -> Option<Uuid> {
        let busy = self.busy();
        let ids: Vec<Uuid> =
            self.model.jobs.keys().copied().filter(|id| !busy.contains(id)).collect();
        (!ids.is_empty()).then(|| ids[self.pick(ids.len())])
    }

    pub(super) async fn step(&mut self) {
        let name = match self.pick(100) {
            0..=19 => self.submit().await,
            20..=22 => self.plan().await,
            23..=34 => self.consume().await,
            35..=38 => self.consume_dead().await,
            39..=44 => self.claim().await,
            45..=58 => self.speak().await,
            59..=60 => self.ack_many().await,
            61..=67 => self.finish().await,
            68..=69 => self.reconnect().await,
            70..=75 => self.wait().await,
            76..=79 => self.set().await,
            80..=82 => self.cancel().await,
            83..=84 => self.cancel_matching().await,
            85..=87 => self.retry().await,
            88 => self.redrive().await,
            89 => self.redrive_all().await,
            90 => self.purge().await,
            91 => self.forget().await,
            92..=94 => self.schedule().await,
            95..=96 => self.leave_open().await,
            97..=98 => self.undo().await,
            _ => self.close().await,
        };
        *self.done.entry(name).or_default() += 1;
    }

    /// Some operation in a transaction that is rolled back: it has not happened.
    async fn undo(&mut self) -> &'static str {
        self.look().await;
        let (before, n) = (self.model.clone(), self.session());
        self.sessions[n].execute("begin").await;
        match self.pick(5) {
            0 => self.submit_on(n).await,
            1 => self.consume_on(n).await,
            2 => self.consume_dead_on(n).await,
            3 => self.speak_on(n).await,
            _ => self.cancel_on(n).await,
        }
        self.sessions[n].execute("rollback").await;
        self.model = before;
        "undo"
    }

    async fn leave_open(&mut self) -> &'static str {
        if self.open.is_some() {
            return "leave_open";
        }
        let (before, session) = (self.model.clone(), self.session());
        self.sessions[session].execute("begin").await;
        self.consume_on(session).await;
        let after = std::mem::replace(&mut self.model, before);
        let taken = after.taken[self.model.taken.len()..].to_vec();
        let jobs = taken.iter().map(|(id, _)| (*id, after.jobs[id].clone())).collect();
        let starts = after.starts[self.model.starts.len()..].to_vec();
        self.open = Some(Open { session, jobs, taken, starts });
        "leave_open"
    }

    pub(super) async fn close(&mut self) -> &'static str {
        let Some(open) = self.open.take() else { return "close" };
        if self.pick(2) == 0 {
            self.sessions[open.session].execute("rollback").await;
            return "close";
        }
        self.sessions[open.session].execute("commit").await;
        self.model.jobs.extend(open.jobs);
        self.model.taken.extend(open.taken);
        self.model.starts.extend(open.starts);
        "close"
    }

    async fn wait(&mut self) -> &'static str {
        self.settle().await;
        let seconds = self.rng.random_range(5..50);
        self.pass(seconds).await;
        "wait"
    }

    pub(super) async fn pass(&mut self, seconds: Time) {
        self.database.advance_clock(&format!("{seconds} s")).await;
        self.model.passes(seconds);
        self.settle().await;
    }

    pub(super) async fn sweep(&mut self) {
        let n = self.session();
        self.sessions[n].execute("select postq.sweep()").await;
    }

    /// Lets jobs begin, or skips them, that have waited for jobs which have all ended; those behind them, too.
    pub(super) async fn look(&mut self) {
        for _ in 0..MANY {
            let ids: Vec<Uuid> = self.model.jobs.keys().copied().collect();
            let begun = ids.into_iter().filter(|id| self.model.begins(*id)).count();
            if begun == 0 {
                return;
            }
            self.sweep().await;
        }
        panic!("no end of jobs that begin");
    }

    /// Closes the open transaction, and applies all that is to be applied.
    pub(super) async fn settle(&mut self) {
        self.close().await;
        for _ in 0..MANY {
            self.sweep().await;
            if self.database.value::<i64>("select count(*) from postq.inbox").await == 0 {
                self.look().await;
                return;
            }
        }
        panic!("no end of the inbox");
    }

    /// Everything is let go on until all jobs have ended: nobody is forgotten.
    pub(super) async fn finish_all(&mut self) {
        self.settle().await;
        self.unlimit().await;
        for _ in 0..MANY {
            if self.model.jobs.values().all(|job| !job.is_open()) {
                return self.compare().await;
            }
            self.plan().await;
            self.pass(11).await;
            self.work_on_all().await;
        }
        let left: Vec<_> = self.model.jobs.iter().filter(|(_, job)| job.is_open()).collect();
        panic!("these never ended: {left:?}");
    }
}
