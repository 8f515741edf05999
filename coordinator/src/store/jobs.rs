//! Reads jobs.

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// A job as it stands.
#[derive(Clone, Debug, FromRow)]
pub struct JobRow {
    /// Its id.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Its queue.
    pub queue: String,
    /// One of the job states of the design.
    pub state: String,
    /// Why it ended so.
    pub reason: Option<String>,
    /// Greater is claimed first.
    pub priority: i32,
    /// Free JSON.
    pub attributes: Json<Value>,
    /// Times.
    pub created_at: DateTime<Utc>,
    /// First start of a task.
    pub started_at: Option<DateTime<Utc>>,
    /// End.
    pub finished_at: Option<DateTime<Utc>>,
    /// Somebody asked for its end.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Of how many tasks it consists.
    pub task_count: i32,
    /// How many have not ended.
    pub open_tasks: i32,
    /// Rises with every change.
    pub revision: i64,
    /// What it was submitted with.
    pub traceparent: Option<String>,
    /// The job that it repeats.
    pub retry_of: Option<Uuid>,
}

macro_rules! select_jobs {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select j.id, s.name, j.queue, j.state::text, j.priority,
             coalesce(j.reason, case when j.finished_at is null then postq.waits_for(j.id) end) as reason,
             s.attributes, j.created_at, j.started_at, j.finished_at, j.cancel_requested_at,
             s.task_count, p.open as open_tasks, p.revision, s.traceparent, s.retry_of
             from postq.job j
             join postq.job_spec s on s.job = j.id
             cross join lateral (
                 select p.open, p.revision from postq.job_progress p
                 where p.job = j.id order by p.revision desc limit 1
             ) p ",
            $rest
        )
    };
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only these states; empty means all.
    pub states: Vec<String>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only ids below this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
    /// Only those whose attributes this holds for; see `postq.filter_path`.
    pub filter: Option<String>,
    /// Only these; empty means all.
    pub ids: Vec<Uuid>,
}

impl Store {
    /// One job.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRow>, StoreError> {
        self.run("job", |pool| async move {
            sqlx::query_as(select_jobs!("job", "where j.id = $1"))
                .bind(id.0)
                .fetch_optional(&pool)
                .await
        })
        .await
    }

    /// Jobs, newest id first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
        if filter.filter.is_some() || !filter.ids.is_empty() {
            return self.found_jobs(filter).await;
        }
        self.run("jobs", |pool| async move {
            sqlx::query_as(select_jobs!(
                "jobs",
                "where (cardinality($1::text[]) = 0 or j.state = any ($1::text[]::postq.state_of_job[]))
                   and ($2::text is null or j.queue = $2)
                   and ($3::uuid is null or j.id < $3)
                 order by j.id desc limit $4"
            ))
            .bind(&filter.states)
            .bind(&filter.queue)
            .bind(filter.before)
            .bind(filter.limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Jobs that a filter or a list of ids chooses; a plan of its own for each.
    async fn found_jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
        self.run("found_jobs", |pool| async move {
            sqlx::query_as(select_jobs!(
                "found_jobs",
                "where j.id = any (array(
                     select f.id from postq.find_jobs($1, $2, nullif($3::text[], '{}'), nullif($4::uuid[], '{}'),
                                                      $5, $6) f))
                 order by j.id desc"
            ))
            .bind(&filter.filter)
            .bind(&filter.queue)
            .bind(&filter.states)
            .bind(&filter.ids)
            .bind(i32::try_from(filter.limit).unwrap_or(i32::MAX))
            .bind(filter.before)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The tasks that nobody depends on.
    pub async fn sinks(&self, job: JobId) -> Result<Vec<i32>, StoreError> {
        self.run("sinks", |pool| async move {
            sqlx::query_scalar(
                "/* sinks */ select s.n from postq.task_spec s
                 where s.job = $1 and not exists (
                     select from postq.gate_parent p where p.job = s.job and p.parent = s.n)
                 order by s.n",
            )
            .bind(job.0)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The number of a task by its name.
    pub async fn task_number(&self, job: JobId, name: &str) -> Result<Option<i32>, StoreError> {
        self.run("task_number", |pool| async move {
            sqlx::query_scalar(
                "/* task_number */ select s.n from postq.task_spec s where s.job = $1 and s.name = $2",
            )
            .bind(job.0)
            .bind(name)
            .fetch_optional(&pool)
            .await
        })
        .await
    }
}

/// What changes whenever something about a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Glance {
    /// Rises with every change but the start of an attempt.
    pub revision: i64,
    /// Rises with that.
    pub last_attempt: Option<i64>,
    /// Everything has ended.
    pub is_ended: bool,
    /// Somebody asked for its end.
    pub is_cancelled: bool,
    /// Rises when it changes what any tasks wait for that no agent could run.
    pub waiting_turn: i64,
}

impl Glance {
    /// Everything up to here.
    pub fn seen(&self) -> Seen {
        Seen { revision: self.revision, waiting_turn: self.waiting_turn }
    }
}

/// How far somebody knows a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Of the job.
    pub revision: i64,
    /// Of what tasks wait for.
    pub waiting_turn: i64,
}

impl Seen {
    /// Whether nothing is missing to whoever goes on from `other`.
    pub fn includes(&self, other: &Self) -> bool {
        self.revision >= other.revision && self.waiting_turn >= other.waiting_turn
    }
}

impl Store {
    /// The cheapest look at a job; none where it does not exist.
    pub async fn glance(&self, job: JobId) -> Result<Option<Glance>, StoreError> {
        self.run("glance", |pool| async move {
            sqlx::query_as(
                "/* glance */ select p.revision,
                 (select max(o.attempt) from postq.open_attempt o where o.job = j.id) as last_attempt,
                 j.finished_at is not null as is_ended,
                 j.cancel_requested_at is not null as is_cancelled,
                 coalesce((select f.value::bigint from postq.fact f where f.key = 'waiting_turn'), 0)
                     as waiting_turn
                 from postq.job j
                 cross join lateral (
                     select p.revision from postq.job_progress p
                     where p.job = j.id order by p.revision desc limit 1
                 ) p
                 where j.id = $1",
            )
            .bind(job.0)
            .fetch_optional(&pool)
            .await
        })
        .await
    }
}
