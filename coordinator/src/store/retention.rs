//! `purge_finished`: forgets jobs that ended long ago.

use std::time::Duration;

use postq_common::id::JobId;
use serde::Deserialize;
use sqlx::types::Json;

use super::{Store, StoreError};

/// What [`Store::purge_finished`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Purged {
    /// How many jobs are gone.
    pub purged: i64,
    /// The last one looked at; none where there are no more.
    pub last: Option<JobId>,
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
}
