//! Schedules: read, written, and fired. What is to be fired is decided elsewhere.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Readied, Store, StoreError};

/// A schedule as it stands, at the time `now` of the database.
#[derive(Clone, Debug, FromRow)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Of all schedules that had the name.
    pub id: Uuid,
    /// When, or every so long.
    pub cron: Option<String>,
    /// When, or at the times of an expression.
    pub every_ms: Option<i64>,
    /// Where the expression means what it says.
    pub time_zone: String,
    /// A word of [`postq_common::schedule::Overlap`].
    pub overlap: String,
    /// A word of [`postq_common::schedule::CatchUp`].
    pub catch_up: String,
    /// Times made up for at most.
    pub catch_up_limit: i32,
    /// A `JobSpec`.
    pub job: Json<Value>,
    /// It rests.
    pub is_paused: bool,
    /// Its times lie behind this.
    pub since: DateTime<Utc>,
    /// None where it was not looked at yet.
    pub next_at: Option<DateTime<Utc>>,
    /// Times that wait for the job before, oldest first.
    pub waiting: Vec<DateTime<Utc>>,
    /// The last time that made a job.
    pub last_at: Option<DateTime<Utc>>,
    /// That job.
    pub last_job: Option<Uuid>,
    /// Its state, while it is known.
    pub last_state: Option<String>,
    /// That job has not ended.
    pub is_busy: bool,
    /// Jobs made.
    pub fired: i64,
    /// Times left out.
    pub skipped: i64,
    /// Why it does not fire.
    pub error: Option<String>,
    /// When it is tried again; none where it waits for its time, or never fires again.
    pub retry_at: Option<DateTime<Utc>>,
    /// The fence.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The database's clock as it was read.
    pub now: DateTime<Utc>,
}

/// What firing changes of a schedule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScheduleChange {
    /// The next time.
    pub next_at: Option<DateTime<Utc>>,
    /// Those that wait.
    pub waiting: Vec<DateTime<Utc>>,
    /// The last time that made a job.
    pub last_at: Option<DateTime<Utc>>,
    /// Times left out.
    pub skipped: usize,
    /// Why it does not fire any more.
    pub error: Option<String>,
}

/// A job to be made, as `postq.admit` takes it.
#[derive(Debug, Serialize)]
pub struct FireJob {
    /// The job without its tasks.
    pub job: Value,
    /// Its tasks.
    pub tasks: Box<RawValue>,
    /// Its gates.
    pub gates: Box<RawValue>,
}

/// What [`Store::fire_schedule`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Fired {
    /// False where the schedule is not as it was read: another coordinator was faster.
    pub is_current: bool,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
}

macro_rules! select_schedules {
    ($verb:literal, $rest:literal) => {
        concat!(
            "/* ",
            $verb,
            " */ select s.name, s.id, s.cron, s.every_ms, s.time_zone, s.overlap, s.catch_up,
             s.catch_up_limit, s.job, s.is_paused, s.since, s.next_at, s.waiting, s.last_at, s.last_job,
             j.state::text as last_state, coalesce(j.finished_at is null, false) and j.id is not null as is_busy,
             s.fired, s.skipped, s.error, s.retry_at, s.version, s.created_at, postq.now() as now
             from postq.schedule s left join postq.job j on j.id = s.last_job ",
            $rest
        )
    };
}

impl Store {
    /// Schedules that are to be looked at now.
    pub async fn due_schedules(&self, limit: i64) -> Result<Vec<ScheduleRow>, StoreError> {
        self.run("due_schedules", |pool| async move {
            sqlx::query_as(select_schedules!(
                "due_schedules",
                "where not s.is_paused and coalesce(s.retry_at <= postq.now(), true)
                   and (s.next_at <= postq.now()
                     or s.next_at is null and (s.error is null or s.retry_at is not null)
                     or s.waiting <> '{}' and (s.overlap = 'allow' or not postq.is_open(s.last_job)))
                 order by s.next_at nulls first, s.name limit $1"
            ))
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Milliseconds until a schedule is to be looked at, not above zero where one is now.
    pub async fn next_schedule_ms(&self) -> Result<Option<i64>, StoreError> {
        self.run("next_schedule_ms", |pool| async move {
            sqlx::query_scalar("/* next_schedule_ms */ select postq.next_schedule_ms()")
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Makes jobs of a schedule that is still of that version, and changes it, in one transaction.
    pub async fn fire_schedule(
        &self,
        name: &str,
        version: i64,
        change: &ScheduleChange,
        jobs: &[FireJob],
    ) -> Result<Fired, StoreError> {
        // Whoever looks at schedules looks again.
        self.once("fire_schedule", |pool| async move {
            sqlx::query_scalar("/* fire_schedule */ select postq.fire_schedule($1, $2, $3, $4)")
                .bind(name)
                .bind(version)
                .bind(Json(change))
                .bind(Json(jobs))
                .fetch_one(&pool)
                .await
                .map(|Json(fired)| fired)
        })
        .await
    }

    /// Notes why a schedule of that version cannot fire now; it is due again some seconds later.
    pub async fn defer_schedule(
        &self,
        name: &str,
        version: i64,
        why: &str,
    ) -> Result<(), StoreError> {
        self.run("defer_schedule", |pool| async move {
            sqlx::query("/* defer_schedule */ select postq.defer_schedule($1, $2, $3)")
                .bind(name)
                .bind(version)
                .bind(why)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Stores a schedule under its name; see `postq.put_schedule` for its form.
    pub async fn put_schedule(&self, schedule: &Value) -> Result<(), StoreError> {
        self.run("put_schedule", |pool| async move {
            sqlx::query("/* put_schedule */ select postq.put_schedule($1)")
                .bind(Json(schedule))
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// One schedule.
    pub async fn schedule(&self, name: &str) -> Result<Option<ScheduleRow>, StoreError> {
        self.run("schedule", |pool| async move {
            sqlx::query_as(select_schedules!("schedule", "where s.name = $1"))
                .bind(name)
                .fetch_optional(&pool)
                .await
        })
        .await
    }

    /// Schedules behind `after`, by name.
    pub async fn schedules(
        &self,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        self.run("schedules", |pool| async move {
            sqlx::query_as(select_schedules!(
                "schedules",
                "where $1::text is null or s.name > $1 order by s.name limit $2"
            ))
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Forgets a schedule. False: there is none of that name.
    pub async fn unschedule(&self, name: &str) -> Result<bool, StoreError> {
        self.run("unschedule", |pool| async move {
            sqlx::query_scalar("/* unschedule */ select postq.unschedule($1)")
                .bind(name)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Pauses or resumes a schedule. Refused (PQ003) where there is none of that name.
    pub async fn rest_schedule(&self, name: &str, is_paused: bool) -> Result<(), StoreError> {
        self.run("rest_schedule", |pool| async move {
            sqlx::query("/* rest_schedule */ select postq.rest_schedule($1, $2)")
                .bind(name)
                .bind(is_paused)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Makes the job of a schedule now. Refused (PQ003) where there is none of that name.
    pub async fn trigger_schedule(&self, name: &str) -> Result<Uuid, StoreError> {
        self.once("trigger_schedule", |pool| async move {
            sqlx::query_scalar("/* trigger_schedule */ select postq.trigger_schedule($1)")
                .bind(name)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}
