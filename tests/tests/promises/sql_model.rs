//! The functions of the schema and the rules of `postq_common::state` agree: the same random
//! operations on both, compared after each.

use std::collections::BTreeMap;

use postq_common::{
    spec::RunIf,
    state::{Event, Outcome, TaskState},
};
use postq_tests::{Claimed, Database, End, Graph, JobLook, Task, Worker};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::model::Model;

/// Both sides, and what is under way.
struct Play {
    rng: StdRng,
    database: Database,
    worker: Worker,
    jobs: BTreeMap<Uuid, Model>,
    held: Vec<Claimed>,
    done: Vec<Claimed>,
    /// How attempts end; what is named twice happens twice as often.
    outcomes: &'static [Outcome],
}

impl Play {
    async fn start(seed: u64, outcomes: &'static [Outcome]) -> Self {
        let database = Database::create().await;
        let worker = Worker::connect(&database).await;
        let rng = StdRng::seed_from_u64(seed);
        let (jobs, held, done) = Default::default();
        Self { rng, database, worker, jobs, held, done, outcomes }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    async fn step(&mut self) {
        match self.pick(20) {
            0..=2 => self.admit().await,
            3..=7 => self.claim().await,
            8..=15 => self.finish().await,
            16 => self.cancel().await,
            17 => self.promote().await,
            18 => self.reconnect().await,
            _ => self.speak_too_late().await,
        }
    }

    fn graph(&mut self) -> Graph {
        let size = 1 + self.pick(8);
        let names: Vec<String> = (0..size).map(|n| format!("t{n}")).collect();
        let mut graph = Graph::default();
        for (n, name) in names.iter().enumerate() {
            let depends: Vec<&str> = names[..n]
                .iter()
                .map(String::as_str)
                .filter(|_| self.rng.random_bool(0.4))
                .collect();
            let run_if = RunIf::ALL[[0, 0, 0, 0, 1, 2][self.pick(6)]];
            let attempts = [1, 1, 2, 3, -1][self.pick(5)];
            graph = graph.with(name, Task::after(depends).run_if(run_if).attempts(attempts));
        }
        graph
    }

    async fn admit(&mut self) {
        let graph = self.graph();
        let job = graph.admit(&self.database).await;
        self.jobs.insert(job, Model::new(graph.plan()));
    }

    async fn claim(&mut self) {
        let slots = 1 + self.pick(6);
        for claimed in self.worker.claim(&self.database, slots).await {
            let job = self.jobs.get_mut(&claimed.job).unwrap();
            let n = usize::try_from(claimed.n).unwrap();
            assert_eq!(job.tasks[n].state, TaskState::Ready);
            job.claimed(n);
            self.held.push(claimed);
        }
    }

    async fn finish(&mut self) {
        let mut ends = Vec::new();
        for _ in 0..1 + self.pick(4) {
            if !self.held.is_empty() {
                let at = self.pick(self.held.len());
                let outcome = self.outcomes[self.pick(self.outcomes.len())];
                let is_final = self.rng.random_bool(0.1);
                ends.push((self.held.swap_remove(at), outcome, is_final));
            }
        }
        let told: Vec<_> = ends
            .iter()
            .map(|(of, outcome, is_final)| {
                (of, End { outcome: outcome.as_str(), is_final: *is_final })
            })
            .collect();
        let finished = self.worker.finish(&self.database, &told).await;
        for (of, outcome, is_final) in ends {
            assert_eq!(finished.verdicts[&of.attempt], "recorded");
            let job = self.jobs.get_mut(&of.job).unwrap();
            let n = usize::try_from(of.n).unwrap();
            job.apply(n, Event::AttemptEnded { outcome, is_final });
            self.done.push(of);
        }
        self.jobs.values_mut().for_each(Model::settle);
    }

    async fn cancel(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let at = self.pick(self.jobs.len());
        let (&job, model) = self.jobs.iter_mut().nth(at).unwrap();
        self.database.execute(&format!("select postq.cancel('{job}')")).await;
        self.database.execute("select postq.apply_inbox(0, 100)").await;
        model.cancel();
    }

    async fn promote(&mut self) {
        self.database.advance_clock("1 hour").await;
        self.database.execute("select postq.promote('-infinity', 1000)").await;
        for job in self.jobs.values_mut() {
            for n in 0..job.tasks.len() {
                job.apply(n, Event::Due);
            }
        }
    }

    /// The agent comes back and knows all that it holds.
    async fn reconnect(&mut self) {
        self.worker.reconnect(&self.database, Uuid::new_v4()).await;
        let attempts: Vec<i64> = self.held.iter().map(|one| one.attempt).collect();
        let adopt = sqlx::query("select postq.adopt($1, $2, $3)")
            .bind(self.worker.agent)
            .bind(self.worker.session)
            .bind(attempts);
        adopt.execute(&self.database.pool).await.unwrap();
        self.held.iter_mut().for_each(|one| one.session = self.worker.session);
    }

    /// Reports what was recorded before, or what is held by a session that is over.
    async fn speak_too_late(&mut self) {
        let outcome = Outcome::ALL[self.pick(Outcome::ALL.len())].as_str();
        if !self.done.is_empty() {
            let at = self.pick(self.done.len());
            let verdict = self.worker.end(&self.database, &self.done[at], outcome).await;
            assert_eq!(verdict, "repeated");
        }
        if !self.held.is_empty() {
            let at = self.pick(self.held.len());
            let of = Claimed { session: self.held[at].session - 1, ..self.held[at].clone() };
            assert_eq!(self.worker.end(&self.database, &of, outcome).await, "stale");
        }
    }

    /// Compares all jobs that have not been seen to end, and forgets the others.
    async fn compare(&mut self) {
        for (&job, model) in &self.jobs {
            let JobLook { state, tasks, .. } = self.database.look(job).await;
            assert_eq!((state, tasks), model.look(), "{job}");
        }
        self.jobs.retain(|_, model| !model.state.is_terminal());
        let faults: Vec<String> = self.database.value(FAULTS).await;
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// What must hold between the tables at any time.
pub(crate) const FAULTS: &str = "
    select coalesce(array_agg(fault), '{}') from (
        select 'ready without its task: ' || r.seq as fault from postq.ready r
        where not exists (select from postq.task t where t.job = r.job and t.n = r.n
                          and t.state = 'ready' and t.lane = r.lane and t.seq = r.seq)
        union all
        select 'a ready task in no lane: ' || t.n from postq.task t
        where t.state = 'ready' and not exists (select from postq.ready r where r.lane = t.lane and r.seq = t.seq)
        union all
        select 'a running task without attempt, or the other way: ' || coalesce(t.n, o.n)
        from (select * from postq.task where state = 'running') t
        full join postq.open_attempt o on o.job = t.job and o.n = t.n and o.attempt = t.attempt
        where t.n is null or o.n is null
        union all
        select 'a scheduled task without its row, or the other way: ' || coalesce(t.n, s.n)
        from (select * from postq.task where state = 'scheduled') t
        full join postq.scheduled s on s.job = t.job and s.n = t.n and s.run_at = t.run_at
        where t.n is null or s.n is null
        union all
        select 'a parked task without its row, or the other way: ' || coalesce(t.n, k.n)
        from (select * from postq.task where state = 'parked') t
        full join postq.parked k on k.job = t.job and k.n = t.n
        where t.n is null or k.n is null
        union all
        select 'a wrong count of open tasks: ' || j.id from postq.jobs j
        where j.open_tasks <> (select count(*) from postq.task t where t.job = j.id and t.finished_at is null)
          and not exists (select from postq.submission s where s.job = j.id)
        union all
        select 'an ended job with an open task, or the other way: ' || j.id from postq.jobs j
        where (j.open_tasks = 0) <> (j.finished_at is not null)
        union all
        select 'attempts that do not add up: ' || t.n from postq.task t
        where t.attempts + t.crashes <> (select count(*) from postq.attempt a
            where a.job = t.job and a.n = t.n and a.outcome <> 'released')
    ) f";

async fn play(seed: u64, outcomes: &'static [Outcome], steps: usize) {
    eprintln!("seed {seed}, outcomes {outcomes:?}");
    let mut play = Play::start(seed, outcomes).await;
    for step in 0..steps {
        play.step().await;
        if step % 5 == 0 {
            play.compare().await;
        }
    }
    play.compare().await;
}

#[tokio::test]
async fn the_database_moves_tasks_by_the_rules_however_attempts_end() {
    for seed in 1..=2 {
        play(seed, Outcome::ALL, 800).await;
    }
}

#[tokio::test]
async fn the_database_moves_tasks_by_the_rules_where_most_succeed() {
    let often = &[Outcome::Succeeded, Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed];
    play(3, often, 1000).await;
}

#[tokio::test]
async fn the_database_moves_tasks_by_the_rules_where_agents_die() {
    let often =
        &[Outcome::Lost, Outcome::Lost, Outcome::Lost, Outcome::Released, Outcome::Succeeded];
    play(4, often, 1000).await;
}
