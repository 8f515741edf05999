//! `retry`: a new job of one that has ended.

use postq_common::id::JobId;

use super::{Store, StoreError};

impl Store {
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
