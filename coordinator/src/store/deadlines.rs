//! `apply_deadlines`: jobs that run out of time.

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use serde::Deserialize;
use sqlx::types::Json;

use super::{Store, StoreError};

/// What [`Store::apply_deadlines`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Overdue {
    /// How many deadlines are done with.
    pub applied: i64,
    /// How many were looked at; those of which somebody has a part at hand stay.
    pub looked: i64,
    /// The latest of them.
    pub last: Option<DateTime<Utc>>,
    /// Jobs that ended.
    pub ended: Vec<JobId>,
    /// Milliseconds until the next one.
    pub next_ms: Option<i64>,
}

impl Store {
    /// Applies the deadlines that have passed at or behind `after`; none: all.
    pub async fn apply_deadlines(
        &self,
        after: Option<DateTime<Utc>>,
        limit: i32,
    ) -> Result<Overdue, StoreError> {
        self.run("apply_deadlines", |pool| async move {
            sqlx::query_scalar(
                "/* apply_deadlines */ select postq.apply_deadlines(coalesce($1, '-infinity'), $2)",
            )
            .bind(after)
            .bind(limit)
            .fetch_one(&pool)
            .await
            .map(|Json(overdue)| overdue)
        })
        .await
    }
}
