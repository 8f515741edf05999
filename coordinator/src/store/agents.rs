//! Reads agents.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// An agent as the database knows it.
#[derive(Clone, Debug, FromRow)]
pub struct AgentRow {
    /// Its id.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Where it runs.
    pub host: String,
    /// Its release.
    pub version: String,
    /// Its last connection.
    pub session: i64,
    /// Where it is connected.
    pub coordinator: Option<Uuid>,
    /// How many attempts it runs at once.
    pub slots: i32,
    /// How many it runs now.
    pub running: i64,
    /// What it runs them in.
    pub executors: Vec<String>,
    /// The functions it has.
    pub handlers: Vec<String>,
    /// Free labels.
    pub labels: Json<Value>,
    /// Begin of its last connection.
    pub connected_at: DateTime<Utc>,
    /// When it was found gone.
    pub left_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Agents by id, behind `after`.
    pub async fn agents(
        &self,
        all: bool,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<AgentRow>, StoreError> {
        self.run("agents", |pool| async move {
            sqlx::query_as(
                "/* agents */ select a.id, a.name, a.host, a.version, a.session, a.coordinator, a.slots,
                 (select count(*) from postq.open_attempt o where o.agent = a.id) as running,
                 a.executors, a.handlers, a.labels, a.connected_at, a.left_at
                 from postq.agent a
                 where ($1 or a.coordinator is not null) and ($2::uuid is null or a.id > $2)
                 order by a.id limit $3",
            )
            .bind(all)
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
