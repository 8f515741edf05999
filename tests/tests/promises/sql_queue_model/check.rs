//! The comparison of both sides, and what must hold between the tables.

use std::collections::BTreeMap;

use postq_common::state::{JobState, TaskState};
use uuid::Uuid;

use super::{
    model::{Job, State},
    play::{Play, QUEUES},
};
use crate::sql_model::FAULTS;

/// The SQLSTATE with which something was refused.
pub(super) fn code_of(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    code.unwrap_or_else(|| panic!("{error}")).into_owned()
}

/// A job as the tables have it.
#[derive(Debug, sqlx::FromRow)]
struct Found {
    id: Uuid,
    state: String,
    task: Option<String>,
    attempts: Option<i32>,
    crashes: Option<i32>,
    died_at: Option<i64>,
    letter_attempt: Option<i64>,
}

const FOUND: &str = "
    select j.id, j.state::text, t.state::text as task, t.attempts, t.crashes,
           extract(epoch from d.died_at - '2040-01-01 00:00:00+00')::bigint as died_at, d.attempt as letter_attempt
    from postq.job j left join postq.task t on t.job = j.id left join postq.dead_letter d on d.job = j.id";

impl Found {
    fn is_like(&self, job: &Job) -> bool {
        let Self { state, task, .. } = self;
        let task = task.as_deref();
        let is_state_right = match job.state {
            State::Blocked => {
                task == job.is_planned.then_some("blocked")
                    && ["queued", "scheduled"].contains(&state.as_str())
            }
            State::Waiting(_) => {
                ["ready", "scheduled", "parked"].map(Some).contains(&task)
                    && (state == "running") == job.has_started
            }
            State::Leased { .. } | State::Claimed { .. } => {
                task == Some("running") && state == "running"
            }
            State::Ended { as_state, .. } => {
                let of_job = match as_state {
                    TaskState::Skipped => JobState::Failed.as_str(),
                    other => other.as_str(),
                };
                task == job.is_planned.then_some(as_state.as_str()) && state == of_job
            }
        };
        let as_count = |count: u32| job.is_planned.then(|| i32::try_from(count).unwrap());
        is_state_right
            && (self.attempts, self.crashes) == (as_count(job.attempts), as_count(job.crashes))
            && self.died_at == job.letter.map(|letter| letter.died_at)
            && self.letter_attempt == job.letter.and_then(|letter| letter.attempt)
    }
}

impl Play {
    /// Compares all jobs, their dead letters and the counts of their queues, and what must hold between the tables.
    pub(super) async fn compare(&mut self) {
        self.settle().await;
        let found: Vec<Found> = sqlx::query_as(FOUND).fetch_all(&self.database.pool).await.unwrap();
        let mut found: BTreeMap<Uuid, Found> = found.into_iter().map(|one| (one.id, one)).collect();
        for (id, job) in &self.model.jobs {
            let found = found.remove(id).unwrap_or_else(|| panic!("{id} is gone: {job:?}"));
            assert!(found.is_like(job), "{found:?}, and should be {job:?} at {}", self.model.now);
        }
        assert!(found.is_empty(), "nobody knows of {found:?}");
        self.compare_queues().await;
        for faults in [FAULTS, SLOT_FAULTS, KEY_FAULTS, RATE_FAULTS] {
            let faults: Vec<String> = self.database.value(faults).await;
            assert!(faults.is_empty(), "{faults:?}");
        }
    }

    async fn compare_queues(&self) {
        for (queue, name) in QUEUES.iter().enumerate() {
            let stats = format!(
                "select array[running, ready + scheduled + parked, dead_letters] from postq.stats_of('{name}')"
            );
            let of_queue = || self.model.jobs.values().filter(|job| job.queue == queue);
            let waiting = of_queue().filter(|job| matches!(job.state, State::Waiting(_))).count();
            let wanted = [self.model.running(queue), waiting, self.model.letters(queue).len()];
            let found: Vec<i64> = self.database.value(&stats).await;
            assert_eq!(found, wanted.map(|count| i64::try_from(count).unwrap()), "{name}");
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
            or count(t.token) < s.concurrency_limit and count(*) filter (where t.state = 'parked' and t.token is null) > 0
    ) f";

/// Who has a slot of a queue, a key or a rate is known, and nobody else keeps one.
const SLOT_FAULTS: &str = "
    with had (pool, n) as (
        select 'queue:' || j.queue, o.slot from postq.open_attempt o join postq.job j on j.id = o.job where o.slot is not null
        union all
        -- Of those that ran before the queue had a limit the slot knows.
        select p.pool, p.n from postq.slot p join postq.open_attempt o on o.job = p.job and o.attempt = p.attempt
        union all
        select 'key:' || s.concurrency_key, t.token
        from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n where t.token is not null
        union all
        select 'rate:' || s.rate_key, t.rate_token
        from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n where t.rate_token is not null
    )
    select coalesce(array_agg(format('slot %s of %s: had by %s, taken: %s', coalesce(h.n, p.n), coalesce(h.pool, p.pool), h.count, p.is_taken)), '{}')
    from (select pool, n, count(*) from had group by pool, n) h
    full join (select * from postq.slot where is_taken) p on p.pool = h.pool and p.n = h.n
    where h.count is distinct from 1 or p.is_taken is null";

/// The same of rates: nobody waits for one while fewer than it allows have started or are about to.
const RATE_FAULTS: &str = "
    select coalesce(array_agg(fault), '{}') from (
        select format('%s wait for %s', count(distinct k.seq), k.pool) as fault
        from postq.parked k
        join postq.task_spec s on s.job = k.job and s.n = k.n
        where k.pool like 'rate:%'
        group by k.pool, s.rate_limit
        having (select count(*) from postq.slot p
                where p.pool = k.pool and p.n <= s.rate_limit and (p.is_taken or p.free_at > postq.now())) < s.rate_limit
    ) f";
