//! What the sweepers call: `promote`, `apply_inbox`, `release_opening`, `expire_leases`,
//! `grant_parked`,
//! `sweep_lanes`.

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Readied, Store, StoreError};

/// What [`Store::promote`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Promoted {
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// How many tasks were moved.
    pub moved: i64,
    /// The latest time taken.
    pub last: Option<DateTime<Utc>>,
    /// Milliseconds until the next one is due.
    pub due_ms: Option<i64>,
}

/// What [`Store::apply_inbox`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Applied {
    /// How many requests were looked at; those of which a user's transaction holds a part stay.
    pub applied: i64,
    /// The last of them.
    pub last: i64,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// Jobs that ended.
    pub ended: Vec<JobId>,
}

/// What [`Store::release_opening`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Opened {
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// How many gates were worked on.
    pub gates: i64,
    /// Jobs that ended.
    pub ended: Vec<JobId>,
}

/// What [`Store::expire_leases`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Expired {
    /// How many attempts were ended.
    pub expired: i64,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// Jobs that ended.
    pub ended: Vec<JobId>,
    /// Milliseconds until the first of the tasks is due again.
    pub due_ms: Option<i64>,
    /// Milliseconds until the next lease ends; not above zero where one is over and was left.
    pub next_ms: Option<i64>,
}

/// What [`Store::grant_parked`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Granted {
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// The last key looked at; none where there are no more.
    pub last: Option<String>,
    /// Milliseconds until the first slot of a rate that is waited for is free.
    pub next_ms: Option<i64>,
}

impl Store {
    /// Gives what is parked the slots that are free, for up to `limit` keys behind `after`.
    pub async fn grant_parked(&self, after: &str, limit: i32) -> Result<Granted, StoreError> {
        self.run("grant_parked", |pool| async move {
            sqlx::query_scalar("/* grant_parked */ select postq.grant_parked($1, $2)")
                .bind(after)
                .bind(limit)
                .fetch_one(&pool)
                .await
                .map(|Json(granted)| granted)
        })
        .await
    }

    /// Makes ready what has fallen due at or behind `after`; none: everything.
    pub async fn promote(
        &self,
        after: Option<DateTime<Utc>>,
        limit: i32,
    ) -> Result<Promoted, StoreError> {
        self.run("promote", |pool| async move {
            sqlx::query_scalar("/* promote */ select postq.promote(coalesce($1, '-infinity'), $2)")
                .bind(after)
                .bind(limit)
                .fetch_one(&pool)
                .await
                .map(|Json(promoted)| promoted)
        })
        .await
    }

    /// Applies what users asked for, behind `after`.
    pub async fn apply_inbox(&self, after: i64, limit: i32) -> Result<Applied, StoreError> {
        self.run("apply_inbox", |pool| async move {
            sqlx::query_scalar("/* apply_inbox */ select postq.apply_inbox($1, $2)")
                .bind(after)
                .bind(limit)
                .fetch_one(&pool)
                .await
                .map(|Json(applied)| applied)
        })
        .await
    }

    /// Releases one more page of the dependants of wide gates.
    pub async fn release_opening(&self, limit: i32) -> Result<Opened, StoreError> {
        self.run("release_opening", |pool| async move {
            sqlx::query_scalar("/* release_opening */ select postq.release_opening($1)")
                .bind(limit)
                .fetch_one(&pool)
                .await
                .map(|Json(opened)| opened)
        })
        .await
    }

    /// Ends attempts of consumers whose lease is over; `is_thorough` looks below the floors too.
    pub async fn expire_leases(
        &self,
        limit: i32,
        is_thorough: bool,
    ) -> Result<Expired, StoreError> {
        self.run("expire_leases", |pool| async move {
            sqlx::query_scalar("/* expire_leases */ select postq.expire_leases($1, $2)")
                .bind(limit)
                .bind(is_thorough)
                .fetch_one(&pool)
                .await
                .map(|Json(expired)| expired)
        })
        .await
    }

    /// Moves the floors of the lanes.
    pub async fn sweep_lanes(&self) -> Result<i32, StoreError> {
        self.run("sweep_lanes", |pool| async move {
            sqlx::query_scalar("/* sweep_lanes */ select postq.sweep_lanes()")
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Asks for the end of a job; it takes effect with the next [`Store::apply_inbox`].
    pub async fn cancel(&self, job: JobId, reason: Option<&str>) -> Result<(), StoreError> {
        self.run("cancel", |pool| async move {
            sqlx::query("/* cancel */ select postq.cancel($1, $2)")
                .bind(job.0)
                .bind(reason)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// As [`Store::cancel`], for many; how many were asked. Unknown ones are left alone.
    pub async fn cancel_many(
        &self,
        jobs: &[Uuid],
        reason: Option<&str>,
    ) -> Result<i64, StoreError> {
        self.run("cancel_many", |pool| async move {
            sqlx::query_scalar("/* cancel_many */ select postq.cancel_many($1, $2)")
                .bind(jobs)
                .bind(reason)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// As [`Store::cancel_many`], for those that a filter or a queue chooses.
    pub async fn cancel_matching(&self, which: &CancelFilter) -> Result<i64, StoreError> {
        self.run("cancel_matching", |pool| async move {
            sqlx::query_scalar(
                "/* cancel_matching */ select postq.cancel_matching($1, $2, $3, $4, $5)",
            )
            .bind(&which.filter)
            .bind(&which.queue)
            .bind(which.waiting_only)
            .bind(&which.reason)
            .bind(MOST_CANCELLED)
            .fetch_one(&pool)
            .await
        })
        .await
    }
}

/// Jobs that one call asks to end.
const MOST_CANCELLED: i32 = 100_000;

/// Which jobs [`Store::cancel_matching`] asks to end.
#[derive(Clone, Debug, Default)]
pub struct CancelFilter {
    /// Those whose attributes it holds for.
    pub filter: Option<String>,
    /// Those of this queue.
    pub queue: Option<String>,
    /// Those that have not started.
    pub waiting_only: bool,
    /// Shown as the reason of what it ends.
    pub reason: Option<String>,
}
