//! `enlist`, `beat`, `bury`, `doze`: the coordinators among themselves.

use postq_common::id::{AgentId, AttemptId, CoordinatorId, SessionId};
use serde::Deserialize;
use sqlx::types::Json;

use super::{AttemptKey, Drain, Store, StoreError, sessions::key};

/// What a beat tells.
#[derive(Clone, Debug, Deserialize)]
pub struct Beat {
    /// All coordinators that are registered.
    pub beats: Vec<(CoordinatorId, i64)>,
    /// Milliseconds until the next task falls due; negative where one is overdue.
    pub due_ms: Option<i64>,
    /// Jobs wait to be planned.
    pub submissions: bool,
    /// Users' requests wait to be applied.
    pub inbox: bool,
    /// Tasks wait for a key or a rate.
    pub parked: bool,
    /// Gates wait to release more of their dependants.
    pub openings: bool,
    /// Attempts are open whose agent is connected nowhere.
    pub orphans: bool,
    /// Milliseconds until the next lease of a consumer ends; negative where one is over.
    pub leases_ms: Option<i64>,
    /// Milliseconds until the next deadline of a job; not above zero where one has passed.
    pub deadlines_ms: Option<i64>,
    /// Milliseconds until a schedule is to be looked at; not above zero where one is now.
    pub schedules_ms: Option<i64>,
    /// Milliseconds until a webhook is to be told of something; not above zero where one is now.
    pub deliveries_ms: Option<i64>,
    /// Attempts of this coordinator's agents that were asked to stop.
    pub cancels: Vec<(AgentId, AttemptId)>,
    /// Its agents that are to leave and were not told yet.
    pub drains: Vec<Drain>,
    /// The agents that are connected here as far as the database knows.
    pub agents: Vec<(AgentId, SessionId)>,
}

impl Store {
    /// Registers a coordinator.
    pub async fn enlist(&self, id: CoordinatorId, host: &str) -> Result<(), StoreError> {
        self.run("enlist", |pool| async move {
            sqlx::query("/* enlist */ select postq.enlist($1, $2, $3)")
                .bind(id.0)
                .bind(host)
                .bind(env!("CARGO_PKG_VERSION"))
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// A sign of life; none where the coordinator is not registered (any more).
    pub async fn beat(&self, id: CoordinatorId) -> Result<Option<Beat>, StoreError> {
        self.once("beat", |pool| async move {
            sqlx::query_scalar("/* beat */ select postq.beat($1)")
                .bind(id.0)
                .fetch_one(&pool)
                .await
                .map(|beat: Option<Json<Beat>>| beat.map(|Json(beat)| beat))
        })
        .await
    }

    /// Attempts of this coordinator's agents that were asked to stop.
    pub async fn cancels(
        &self,
        id: CoordinatorId,
    ) -> Result<Vec<(AgentId, AttemptId)>, StoreError> {
        self.once("cancels", |pool| async move {
            sqlx::query_scalar("/* cancels */ select postq.cancels($1)")
                .bind(id.0)
                .fetch_one(&pool)
                .await
                .map(|Json(cancels)| cancels)
        })
        .await
    }

    /// Declares a coordinator dead whose beat is still `beat`; what its agents leave behind.
    pub async fn bury(&self, id: CoordinatorId, beat: i64) -> Result<Vec<AttemptKey>, StoreError> {
        let rows: Vec<_> = self
            .once("bury", |pool| async move {
                sqlx::query_as("/* bury */ select * from postq.bury($1, $2)")
                    .bind(id.0)
                    .bind(beat)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        Ok(rows.into_iter().map(key).collect())
    }

    /// Open attempts whose agent is connected to no registered coordinator.
    pub async fn orphans(&self) -> Result<Vec<AttemptKey>, StoreError> {
        let rows: Vec<_> = self
            .once("orphans", |pool| async move {
                sqlx::query_as("/* orphans */ select * from postq.orphans()").fetch_all(&pool).await
            })
            .await?;
        Ok(rows.into_iter().map(key).collect())
    }

    /// Registers a coordinator as waiting for hints, or as looking by itself.
    pub async fn doze(&self, id: CoordinatorId, is_sleeping: bool) -> Result<(), StoreError> {
        self.run("doze", |pool| async move {
            sqlx::query("/* doze */ select postq.doze($1, $2)")
                .bind(id.0)
                .bind(is_sleeping)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }
}
