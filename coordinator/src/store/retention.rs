//! `purge_finished`, `purge_queue`: forget jobs that ended long ago, or that are too many.

use std::time::Duration;

use postq_common::id::JobId;
use serde::Deserialize;
use sqlx::types::Json;

use super::{Store, StoreError};

/// What [`Store::purge_finished`] or [`Store::purge_queue`] did.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Purged {
    /// How many jobs are gone.
    pub purged: i64,
    /// The last one looked at; none where there are no more.
    pub last: Option<JobId>,
    /// Of a queue: up to this one too many have ended since.
    #[serde(default)]
    pub up_to: Option<JobId>,
}

impl Store {
    /// Looks at up to `limit` jobs behind `after` and forgets those that ended longer ago than `older`.
    pub async fn purge_finished(
        &self,
        older: Duration,
        limit: i32,
        after: Option<JobId>,
    ) -> Result<Purged, StoreError> {
        self.run("purge_finished", |pool| async move {
            sqlx::query_scalar(
                "/* purge_finished */ select postq.purge_finished(make_interval(secs => $1), $2, $3)",
            )
            .bind(older.as_secs_f64())
            .bind(limit)
            .bind(after.map(|job| job.0))
            .fetch_one(&pool)
            .await
            .map(|Json(purged)| purged)
        })
        .await
    }

    /// The queues that say themselves how long their jobs stay.
    pub async fn retaining_queues(&self) -> Result<Vec<String>, StoreError> {
        self.run("retaining_queues", |pool| async move {
            sqlx::query_scalar(
                "/* retaining_queues */ select q.name from postq.queue q
                 where num_nonnulls(q.retain_ms, q.retain_jobs) > 0 order by q.name",
            )
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Looks at up to `limit` jobs of a queue behind the last one of the page before, and forgets those
    /// that it is not to keep.
    pub async fn purge_queue(
        &self,
        queue: &str,
        limit: i32,
        before: &Purged,
    ) -> Result<Purged, StoreError> {
        self.run("purge_queue", |pool| async move {
            sqlx::query_scalar("/* purge_queue */ select postq.purge_queue($1, $2, $3, $4)")
                .bind(queue)
                .bind(limit)
                .bind(before.last.map(|job| job.0))
                .bind(before.up_to.map(|job| job.0))
                .fetch_one(&pool)
                .await
                .map(|Json(purged)| purged)
        })
        .await
    }
}
