//! `drain`: agents that are to leave.

use std::time::Duration;

use postq_common::id::{AgentId, CoordinatorId};
use sqlx::types::Json;

use super::{Store, StoreError};

/// An agent that is to leave, and how long what it runs may go on in milliseconds; none: as it was
/// told itself.
pub type Drain = (AgentId, Option<i64>);

impl Store {
    /// Asks an agent to leave. False where it is not connected.
    pub async fn drain(
        &self,
        agent: AgentId,
        timeout: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let timeout_ms =
            timeout.map(|timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        self.run("drain", |pool| async move {
            sqlx::query_scalar("/* drain */ select postq.drain($1, $2)")
                .bind(agent.0)
                .bind(timeout_ms)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// This coordinator's agents that are to leave and were not told yet.
    pub async fn drains(&self, id: CoordinatorId) -> Result<Vec<Drain>, StoreError> {
        self.once("drains", |pool| async move {
            sqlx::query_scalar("/* drains */ select postq.drains($1)")
                .bind(id.0)
                .fetch_one(&pool)
                .await
                .map(|Json(drains)| drains)
        })
        .await
    }
}
