//! Queues in any order of events: pauses, limits, concurrency keys, unique keys, deadlines, cancels,
//! retries, redrives, in transactions that commit, roll back or stay open for a while. The same random
//! operations on the functions, over several connections, and on a pure model; compared as they go.
//!
//! The database's clock stands still but where the model moves it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use postq_tests::{Database, Session};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    consumer,
    queue_model::{BACKOFF, Job, LEASE, Model, State, Word},
    sql_model::FAULTS,
};

const SESSIONS: usize = 4;
const QUEUES: [&str; 2] = ["left", "right"];
/// Replaces the clock that goes on by one that stands still.
const STANDING_CLOCK: &str = "
    create or replace function postq.now() returns timestamptz language sql stable
    set search_path = pg_catalog, postq, pg_temp
    as $$ select '2040-01-01 00:00:00+00'::timestamptz + ahead from postq.test_clock $$";

/// A transaction that was left open after a consume, and what the model is once it has committed.
struct Open {
    session: usize,
    jobs: BTreeMap<Uuid, Job>,
    taken: Vec<(Uuid, i64)>,
}

struct Play {
    rng: StdRng,
    database: Database,
    sessions: Vec<Session>,
    model: Model,
    open: Option<Open>,
}

impl Play {
    async fn start(seed: u64) -> Self {
        let database = Database::create().await;
        database.execute(STANDING_CLOCK).await;
        for queue in QUEUES {
            database.execute(&format!("select postq.create_queue('{queue}')")).await;
        }
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(database.session().await);
        }
        let (rng, model) = (StdRng::seed_from_u64(seed), Model::default());
        Self { rng, database, sessions, model, open: None }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    /// A session that has no transaction open.
    fn session(&mut self) -> usize {
        let open = self.open.as_ref().map(|open| open.session);
        loop {
            let n = self.pick(SESSIONS);
            if Some(n) != open {
                return n;
            }
        }
    }

    /// Jobs that the open transaction has at hand.
    fn busy(&self) -> BTreeSet<Uuid> {
        self.open.iter().flat_map(|open| open.jobs.keys().copied()).collect()
    }

    fn any_job(&mut self) -> Option<Uuid> {
        let busy = self.busy();
        let ids: Vec<Uuid> =
            self.model.jobs.keys().copied().filter(|id| !busy.contains(id)).collect();
        (!ids.is_empty()).then(|| ids[self.pick(ids.len())])
    }

    async fn step(&mut self) {
        match self.pick(40) {
            0..=9 => self.submit().await,
            10..=16 => self.consume().await,
            17..=25 => self.speak().await,
            26..=28 => self.wait().await,
            29..=30 => self.set().await,
            31..=32 => self.cancel().await,
            33..=34 => self.retry().await,
            35 => self.redrive().await,
            36 => self.purge().await,
            37 => self.leave_open().await,
            38 => self.undo().await,
            _ => self.close().await,
        }
    }

    /// Some operation in a transaction that is rolled back: it has not happened.
    async fn undo(&mut self) {
        let (before, n) = (self.model.clone(), self.session());
        self.sessions[n].execute("begin").await;
        match self.pick(4) {
            0 => self.submit_on(n).await,
            1 => self.consume_on(n).await,
            2 => self.speak_on(n).await,
            _ => self.cancel_on(n).await,
        }
        self.sessions[n].execute("rollback").await;
        self.model = before;
    }

    async fn leave_open(&mut self) {
        if self.open.is_some() {
            return;
        }
        let (before, session) = (self.model.clone(), self.session());
        self.sessions[session].execute("begin").await;
        self.consume_on(session).await;
        let after = std::mem::replace(&mut self.model, before);
        let taken = after.taken[self.model.taken.len()..].to_vec();
        let jobs = taken.iter().map(|(id, _)| (*id, after.jobs[id].clone())).collect();
        self.open = Some(Open { session, jobs, taken });
    }

    async fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.pick(2) == 0 {
            self.sessions[open.session].execute("rollback").await;
            return;
        }
        self.sessions[open.session].execute("commit").await;
        self.model.jobs.extend(open.jobs);
        self.model.taken.extend(open.taken);
    }

    async fn submit(&mut self) {
        let n = self.session();
        self.submit_on(n).await;
    }

    async fn submit_on(&mut self, n: usize) {
        let (queue, now) = (self.pick(2), self.model.now);
        let (priority, delay) = (self.pick(3), [0, 0, 0, 30][self.pick(4)]);
        let max_attempts = 1 + self.pick(3);
        let key = [None, None, Some(0), Some(1)][self.pick(4)];
        let unique = [None, None, None, Some(0), Some(1)][self.pick(5)];
        let existing = ["KEEP", "KEEP", "REPLACE"][self.pick(3)];
        let expires = [None, None, Some(50)][self.pick(3)];
        // A holder in the open transaction could not be replaced at once.
        let unique = unique.filter(|_| self.open.is_none());
        let mut task = json!({"handler": "h", "timeout": format!("{LEASE}s"), "retry": {
            "max_attempts": max_attempts, "backoff": format!("{BACKOFF}s"), "factor": 1, "jitter": 0}});
        if let Some(key) = key {
            task["concurrency"] = json!({"key": format!("k{key}"), "limit": key + 1});
        }
        let mut document = json!({"queue": QUEUES[queue], "priority": priority,
            "delay": format!("{delay}s"), "tasks": {"a": task}});
        if let Some(expires) = expires {
            document["expires_after"] = json!(format!("{expires}s"));
        }
        if let Some(unique) = unique {
            document["unique"] = json!({"key": format!("u{unique}"), "existing": existing});
        }
        let id: Uuid = self.sessions[n].value(&format!("select postq.submit('{document}')")).await;
        if let Some(holder) = unique.and_then(|unique| self.model.holder(queue, unique)) {
            let job = self.model.jobs.get_mut(&holder).unwrap();
            if existing == "KEEP" || job.has_started {
                assert_eq!(id, holder, "{document}");
                return;
            }
            job.state = State::Ended("cancelled");
        }
        let job = Job {
            queue,
            priority: i32::try_from(priority).unwrap(),
            state: State::Waiting(now + delay),
            attempts: 0,
            max_attempts: i32::try_from(max_attempts).unwrap(),
            key,
            unique,
            expires_at: expires.map(|expires| now + delay + expires),
            has_started: false,
            is_cancelled: false,
            has_letter: false,
        };
        assert!(self.model.jobs.insert(id, job).is_none(), "{document} gave a job that was there");
    }

    async fn consume(&mut self) {
        let n = self.session();
        self.consume_on(n).await;
    }

    async fn consume_on(&mut self, n: usize) {
        let (queue, num) = (self.pick(2), 1 + self.pick(4));
        let consume = format!("{num}, '{}'", QUEUES[queue]);
        let given = consumer::consume(&mut self.sessions[n].connection, &consume).await;
        let busy = self.busy();
        self.model.consumed(queue, num, &given, &busy);
    }

    async fn speak(&mut self) {
        let n = self.session();
        self.speak_on(n).await;
    }

    async fn speak_on(&mut self, n: usize) {
        if self.model.taken.is_empty() {
            return;
        }
        let at = self.pick(self.model.taken.len());
        let (id, attempt) = self.model.taken[at];
        let of = format!("'{id}', {attempt}");
        let (statement, word) = match self.pick(6) {
            0 | 1 => (format!("ack({of})"), Word::Ack),
            2 => (format!("nack({of}, 'no')"), Word::Nack { is_final: false }),
            3 => (format!("nack({of}, is_final => true)"), Word::Nack { is_final: true }),
            4 => (format!("release({of})"), Word::Release),
            _ => (format!("renew({of}, '{LEASE} s')"), Word::Renew),
        };
        let was = self.model.jobs[&id].clone();
        let is_current = self.model.spoken(id, attempt, word);
        let done = self.sessions[n].try_execute(&format!("select postq.{statement}")).await;
        assert_eq!(done.is_ok(), is_current, "{statement}: {was:?} {done:?}");
        if !is_current {
            self.model.taken.swap_remove(at);
        }
    }

    async fn wait(&mut self) {
        self.close().await;
        let seconds = self.rng.random_range(5..50);
        self.database.advance_clock(&format!("{seconds} s")).await;
        self.model.passes(seconds);
        self.sweep().await;
    }

    async fn sweep(&mut self) {
        let n = self.session();
        self.sessions[n].execute("select postq.sweep()").await;
    }

    /// Pauses or resumes a queue, or changes its limit.
    async fn set(&mut self) {
        let (queue, n) = (self.pick(2), self.session());
        let name = QUEUES[queue];
        if self.pick(2) == 0 {
            let is_paused = !self.model.queues[queue].is_paused;
            self.model.queues[queue].is_paused = is_paused;
            let verb = if is_paused { "pause" } else { "resume" };
            self.sessions[n].execute(&format!("select postq.{verb}('{name}')")).await;
        } else if self.open.is_none() {
            let limit = [None, Some(1), Some(2), Some(3)][self.pick(4)];
            self.model.queues[queue].max_running = limit;
            let settings = json!({"max_running": limit});
            let alter = format!("select postq.alter_queue('{name}', '{settings}')");
            self.sessions[n].execute(&alter).await;
        }
    }

    async fn cancel(&mut self) {
        let n = self.session();
        self.cancel_on(n).await;
        self.sweep().await;
    }

    async fn cancel_on(&mut self, n: usize) {
        let Some(id) = self.any_job() else { return };
        self.sessions[n].execute(&format!("select postq.cancel('{id}')")).await;
        self.model.cancelled(id);
    }

    async fn retry(&mut self) {
        let Some(id) = self.any_job() else { return };
        let wanted = match self.model.jobs[&id].state {
            State::Ended("succeeded") => Err("PQ005"),
            State::Ended(_) => Ok(()),
            _ => Err("PQ006"),
        };
        self.again("retry", id, wanted).await;
    }

    async fn redrive(&mut self) {
        let Some(id) = self.any_job() else { return };
        let wanted = self.model.jobs[&id].has_letter.then_some(()).ok_or("PQ003");
        self.again("redrive", id, wanted).await;
    }

    async fn again(&mut self, verb: &str, id: Uuid, wanted: Result<(), &str>) {
        let n = self.session();
        let again = AssertSqlSafe(format!("select postq.{verb}('{id}')"));
        let done: Result<Uuid, sqlx::Error> =
            sqlx::query_scalar(again).fetch_one(&mut self.sessions[n].connection).await;
        match (done, wanted) {
            (Ok(new), Ok(())) => self.model.copied(id, new),
            (Err(error), Err(wanted)) => {
                let code = error.as_database_error().unwrap().code();
                assert_eq!(code.as_deref(), Some(wanted), "{verb} {:?}", self.model.jobs[&id]);
            }
            (done, wanted) => {
                panic!("{verb} of {:?}: {done:?}, not {wanted:?}", self.model.jobs[&id])
            }
        }
    }

    async fn purge(&mut self) {
        let (queue, n) = (self.pick(2), self.session());
        let purge = format!("select postq.purge('{}')", QUEUES[queue]);
        let purged: i64 = self.sessions[n].value(&purge).await;
        let mut letters = 0;
        for job in self.model.jobs.values_mut().filter(|job| job.queue == queue) {
            letters += i64::from(std::mem::take(&mut job.has_letter));
        }
        assert_eq!(purged, letters);
    }

    /// Compares all jobs, and what must hold between the tables; forgets some that have ended.
    async fn compare(&mut self) {
        self.close().await;
        self.sweep().await;
        for (id, job) in &self.model.jobs {
            let found: String = self
                .database
                .value(&format!(
                    "select t.state || ' ' || t.attempts || ' ' || j.state from postq.task t
                     join postq.job j on j.id = t.job where t.job = '{id}'"
                ))
                .await;
            let attempts = job.attempts;
            let is_as_wanted = match job.state {
                State::Ended(word) => found.ends_with(&format!(" {attempts} {word}")),
                State::Leased { .. } => found == format!("running {attempts} running"),
                State::Waiting(_) => ["ready", "scheduled", "parked"]
                    .iter()
                    .any(|word| found.starts_with(&format!("{word} {attempts} "))),
            };
            assert!(is_as_wanted, "{id} is {found}, and should be {job:?}");
        }
        let letters: BTreeSet<Uuid> = self
            .database
            .value::<Vec<Uuid>>("select coalesce(array_agg(job), '{}') from postq.dead_letter")
            .await
            .into_iter()
            .collect();
        let with_letter = self.model.jobs.iter().filter(|(_, job)| job.has_letter);
        assert_eq!(letters, with_letter.map(|(id, _)| *id).collect());
        for faults in [FAULTS, KEY_FAULTS] {
            let faults: Vec<String> = self.database.value(faults).await;
            assert!(faults.is_empty(), "{faults:?}");
        }
        if self.model.jobs.len() > 60 {
            self.model.jobs.retain(|_, job| job.is_open() || job.has_letter);
            let known = &self.model.jobs;
            self.model.taken.retain(|(id, _)| known.contains_key(id));
        }
    }
}

/// What must hold of concurrency keys after a sweep, while nobody has anything at hand: none is given to too
/// many, and nobody waits for one that is free.
const KEY_FAULTS: &str = "
    select coalesce(array_agg(fault), '{}') from (
        select format('%s have key %s', count(t.token), s.concurrency_key) as fault
        from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n
        where s.concurrency_key is not null and t.finished_at is null
        group by s.concurrency_key, s.concurrency_limit
        having count(t.token) > s.concurrency_limit
            or count(t.token) < s.concurrency_limit and count(*) filter (where t.state = 'parked') > 0
    ) f";

#[tokio::test]
async fn queues_and_the_model_of_their_jobs_agree_soak() {
    let (seeds, steps) = match env::var_os("POSTQ_SOAK") {
        Some(_) => (20, 3000),
        None => (3, 800),
    };
    for nth in 1..=seeds {
        let seed = if seeds > 3 { rand::rng().random() } else { nth };
        println!("seed {seed}, {steps} steps");
        let mut play = Play::start(seed).await;
        for step in 0..steps {
            play.step().await;
            if step % 10 == 0 {
                play.compare().await;
            }
        }
        play.compare().await;
    }
}
