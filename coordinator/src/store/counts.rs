//! Counts for monitoring.

use super::{Store, StoreError};

/// `(queue, state, count)`.
pub type StateCount = (String, String, i64);

impl Store {
    /// Jobs that have not ended by queue and state.
    pub async fn open_jobs(&self) -> Result<Vec<StateCount>, StoreError> {
        self.run("open_jobs", |pool| async move {
            sqlx::query_as(
                "/* open_jobs */ select queue, state::text, count(*) from postq.job
                 where finished_at is null group by queue, state",
            )
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Tasks that wait to be claimed or run, by queue and state.
    pub async fn open_tasks(&self) -> Result<Vec<StateCount>, StoreError> {
        self.run("open_tasks", |pool| async move {
            sqlx::query_as(
                "/* open_tasks */ select l.queue, x.state, count(*) from (
                     select lane, 'ready' as state from postq.ready
                     union all
                     select t.lane, 'running' from postq.open_attempt o
                     join postq.task t on t.job = o.job and t.n = o.n
                     union all
                     select lane, 'scheduled' from postq.scheduled
                     union all
                     select lane, 'parked' from postq.parked) x
                 join postq.lane l on l.id = x.lane
                 group by l.queue, x.state",
            )
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
