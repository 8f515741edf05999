//! Consumers, their clock and the sweep in any order: the same random operations on the functions and on
//! a small model of one-task jobs, compared after each.

use std::collections::BTreeMap;

use postq_tests::Database;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::{
    consumer::{Taken, consume, publish},
    sql_model::FAULTS,
};

/// Seconds of the model's clock.
type Time = i64;

const LEASE: Time = 60;
const BACKOFF: Time = 10;
/// The model counts whole seconds, the database what really passes.
const SLACK: Time = 5;

#[derive(Clone, Debug, PartialEq)]
enum State {
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
struct Job {
    state: State,
    attempts: i32,
    max_attempts: i32,
    is_cancelled: bool,
}

impl Job {
    /// An attempt that counts has not succeeded; `at` is when the next one may start.
    fn failed(&mut self, at: Time) {
        self.attempts += 1;
        self.state = if self.is_cancelled {
            State::Ended("cancelled")
        } else if self.attempts >= self.max_attempts {
            State::Ended("failed")
        } else {
            State::Waiting(at)
        };
    }
}

struct Play {
    rng: StdRng,
    database: Database,
    now: Time,
    jobs: BTreeMap<Uuid, Job>,
    held: Vec<Taken>,
}

impl Play {
    async fn step(&mut self) {
        match self.rng.random_range(0..20) {
            0..=3 => self.publish().await,
            4..=8 => self.consume().await,
            9..=14 => self.speak().await,
            15..=17 => self.wait().await,
            18 => self.cancel().await,
            _ => self.sweep().await,
        }
    }

    async fn publish(&mut self) {
        let max_attempts = self.rng.random_range(1..4);
        let delay = [0, 0, 100][self.rng.random_range(0..3)];
        let id = publish(
            &self.database,
            &format!(
                "'mail', max_retries => {max_attempts}, backoff => '{BACKOFF} s', factor => 1,
                 scheduled_at => postq.now() + interval '{delay} s', priority => {}",
                self.rng.random_range(0..2)
            ),
        )
        .await;
        let state = State::Waiting(self.now + delay);
        self.jobs.insert(id, Job { state, attempts: 0, max_attempts, is_cancelled: false });
    }

    async fn consume(&mut self) {
        let taken = consume(&self.database.pool, &self.rng.random_range(1..6).to_string()).await;
        for one in taken {
            let job = self.jobs.get_mut(&one.id).unwrap();
            if let State::Leased { until, .. } = job.state {
                assert!(self.now + SLACK >= until + BACKOFF, "{one:?} was {job:?} at {}", self.now);
                job.failed(until + BACKOFF);
            }
            let State::Waiting(at) = job.state else { panic!("{one:?} was {job:?}") };
            assert!(self.now + SLACK >= at && !job.is_cancelled, "{one:?} was {job:?}");
            assert_eq!(one.attempts, job.attempts + 1);
            job.state = State::Leased { until: self.now + LEASE, attempt: one.attempt };
            self.held.push(one);
        }
        self.learn().await;
    }

    /// Takes over what a consume or a sweep did to leases that are over, where that was allowed.
    async fn learn(&mut self) {
        for (id, job) in &mut self.jobs {
            let State::Leased { until, attempt } = job.state else { continue };
            let open = format!("select count(*) from postq.open_attempt where attempt = {attempt}");
            if self.database.value::<i64>(&open).await == 0 {
                assert!(self.now + SLACK >= until, "{id} lost its lease at {}: {job:?}", self.now);
                job.failed(self.now + BACKOFF);
            }
        }
    }

    async fn speak(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.held.len());
        let taken = self.held[at].clone();
        let verb = self.rng.random_range(0..5);
        let word = match verb {
            0 | 1 => taken.ack(),
            2 => taken.nack("no"),
            3 => taken.release(),
            _ => taken.renew(&format!("{LEASE} s")),
        };
        let done = self.database.session().await.try_execute(&word).await;
        let job = self.jobs.get_mut(&taken.id).unwrap();
        let is_its = matches!(job.state, State::Leased { attempt, .. } if attempt == taken.attempt);
        assert_eq!(done.is_ok(), is_its, "{word}: {job:?}");
        if !is_its {
            self.held.swap_remove(at);
            return;
        }
        match verb {
            0 | 1 => {
                job.attempts += 1;
                job.state = State::Ended("succeeded");
            }
            2 => job.failed(self.now + BACKOFF),
            3 if job.is_cancelled => job.state = State::Ended("cancelled"),
            3 => job.state = State::Waiting(self.now),
            _ => job.state = State::Leased { until: self.now + LEASE, attempt: taken.attempt },
        }
    }

    async fn wait(&mut self) {
        let seconds = self.rng.random_range(10..100);
        self.database.advance_clock(&format!("{seconds} s")).await;
        self.now += seconds;
    }

    async fn cancel(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.jobs.len());
        let (&id, job) = self.jobs.iter_mut().nth(at).unwrap();
        self.database.execute(&format!("select postq.cancel('{id}')")).await;
        job.is_cancelled = !matches!(job.state, State::Ended(_));
        if matches!(job.state, State::Waiting(_)) {
            job.state = State::Ended("cancelled");
        }
        self.sweep().await;
    }

    async fn sweep(&mut self) {
        self.database.session().await.execute("select postq.sweep()").await;
        self.learn().await;
    }

    async fn compare(&mut self) {
        for (id, job) in &self.jobs {
            let found: String = self
                .database
                .value(&format!(
                    "select t.state || ' ' || t.attempts || ' ' || j.state from postq.task t
                     join postq.job j on j.id = t.job where t.job = '{id}'"
                ))
                .await;
            let is_as_wanted = match job.state {
                State::Ended(word) => found == format!("{word} {} {word}", job.attempts),
                State::Leased { .. } => found == format!("running {} running", job.attempts),
                State::Waiting(_) => {
                    found.starts_with(&format!("ready {} ", job.attempts))
                        || found.starts_with(&format!("scheduled {} ", job.attempts))
                }
            };
            assert!(is_as_wanted, "{id} is {found}, and should be {job:?}");
        }
        self.jobs.retain(|_, job| !matches!(job.state, State::Ended(_)));
        let held: Vec<Uuid> = self.jobs.keys().copied().collect();
        self.held.retain(|taken| held.contains(&taken.id));
        let faults: Vec<String> = self.database.value(FAULTS).await;
        assert!(faults.is_empty(), "{faults:?}");
        let letters = "select count(*) from postq.dead_letter d full join
            (select * from postq.task where state = 'failed') t on t.job = d.job and t.n = d.n
            where d.job is null or t.job is null";
        assert_eq!(
            self.database.value::<i64>(letters).await,
            0,
            "a dead letter for each that failed"
        );
    }
}

#[tokio::test]
async fn consumers_and_the_model_of_their_jobs_agree() {
    for seed in 1..=3 {
        eprintln!("seed {seed}");
        let mut play = Play {
            rng: StdRng::seed_from_u64(seed),
            database: Database::create().await,
            now: 0,
            jobs: BTreeMap::new(),
            held: Vec::new(),
        };
        for step in 0..700 {
            play.step().await;
            if step % 5 == 0 {
                play.compare().await;
            }
        }
    }
}
