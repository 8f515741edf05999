//! What holds jobs against each other, swept: `sweep_keys`, `sweep_waits`, `sweep_limits`.

use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Store, StoreError};

/// A unique key and among which jobs it is one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct UniqueKey {
    /// A queue; empty for all.
    pub scope: String,
    /// The key.
    pub key: String,
}

impl Store {
    /// Forgets free keys behind `after`; the last one looked at, unless it was the last of all.
    pub async fn sweep_keys(
        &self,
        after: &UniqueKey,
        limit: i32,
    ) -> Result<Option<UniqueKey>, StoreError> {
        let last: Option<Json<UniqueKey>> = self
            .run("sweep_keys", |pool| async move {
                sqlx::query_scalar("/* sweep_keys */ select postq.sweep_keys($1, $2, $3)")
                    .bind(&after.scope)
                    .bind(&after.key)
                    .bind(limit)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(last.map(|Json(key)| key))
    }

    /// Lets jobs look again that wait for ended ones, behind `after`; the last one looked at, unless it
    /// was the last of all.
    pub async fn sweep_waits(&self, after: Uuid, limit: i32) -> Result<Option<Uuid>, StoreError> {
        self.run("sweep_waits", |pool| async move {
            sqlx::query_scalar("/* sweep_waits */ select postq.sweep_waits($1, $2)")
                .bind(after)
                .bind(limit)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Counts what began before its queue had a limit, and forgets `limit` places of limits that are no
    /// more.
    pub async fn sweep_limits(&self, limit: i32) -> Result<(), StoreError> {
        self.run("sweep_limits", |pool| async move {
            sqlx::query("/* sweep_limits */ select postq.sweep_limits($1)")
                .bind(limit)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }
}
