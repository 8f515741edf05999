//! `retry`: a new job of one that has ended, and of many.

use std::time::Duration;

use postq_common::id::JobId;
use uuid::Uuid;

use super::{Store, StoreError};

/// Longest time for one call that retries many: each of them is copied.
const MANY_WITHIN: Duration = Duration::from_secs(100);

/// Which jobs [`Store::retry_matching`] runs again, and how fast.
#[derive(Clone, Debug)]
pub struct RetryFilter {
    /// Those whose attributes it holds for.
    pub filter: Option<String>,
    /// Those of this queue.
    pub queue: Option<String>,
    /// Those that ended so.
    pub states: Vec<String>,
    /// At most so many.
    pub limit: i32,
    /// So many begin per second.
    pub rate: Option<f64>,
}

impl Store {
    /// Runs again those that a filter or a queue chooses and nobody has retried; each with its new job.
    pub async fn retry_matching(
        &self,
        which: &RetryFilter,
    ) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        // Not tried again from here: the answer tells what it did.
        self.once_within(MANY_WITHIN, "retry_matching", |pool| async move {
            sqlx::query_as(
                "/* retry_matching */ select id, new_id from postq.retry_matching($1, $2, $3, $4, $5)",
            )
            .bind(&which.filter)
            .bind(&which.queue)
            .bind(&which.states)
            .bind(which.limit)
            .bind(which.rate)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The tasks of a job that would run again if it was retried.
    pub async fn rerun_of(&self, job: JobId, tasks: &[String]) -> Result<Vec<i32>, StoreError> {
        self.run("rerun_of", |pool| async move {
            sqlx::query_scalar("/* rerun_of */ select postq.rerun_of($1, $2)")
                .bind(job.0)
                .bind(tasks)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Runs again what did not succeed of a job, or is named, as the job `new`. Refused where there is
    /// no such job (PQ003), no such task or nothing to run (PQ005), or it has not ended (PQ006).
    pub async fn retry(
        &self,
        job: JobId,
        tasks: &[String],
        new: JobId,
    ) -> Result<JobId, StoreError> {
        self.run("retry", |pool| async move {
            sqlx::query_scalar("/* retry */ select postq.retry($1, $2, $3)")
                .bind(job.0)
                .bind(tasks)
                .bind(new.0)
                .fetch_one(&pool)
                .await
                .map(JobId)
        })
        .await
    }
}
