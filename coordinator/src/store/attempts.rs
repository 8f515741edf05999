//! Whose attempt it is.

use postq_common::id::{AttemptId, JobId, TaskNumber};
use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
    /// The task of an attempt that has not ended.
    pub async fn task_of_attempt(
        &self,
        attempt: AttemptId,
    ) -> Result<Option<(JobId, TaskNumber)>, StoreError> {
        let found: Option<(Uuid, i32)> = self
            .run("task_of_attempt", |pool| async move {
                sqlx::query_as(
                    "/* task_of_attempt */ select job, n from postq.open_attempt where attempt = $1",
                )
                .bind(attempt.0)
                .fetch_optional(&pool)
                .await
            })
            .await?;
        Ok(found.map(|(job, n)| (JobId(job), TaskNumber(n))))
    }
}
