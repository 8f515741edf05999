//! Queues: their settings and what is in them, as proto3-JSON.

use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;

use super::{Store, StoreError};

/// What [`Store::put_queue`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct PutQueue {
    /// A `Queue`.
    pub queue: Value,
    /// It was not declared before.
    pub created: bool,
}

impl Store {
    /// Declares a queue or changes the settings that are named; `is_new_only`: only declares.
    pub async fn put_queue(
        &self,
        name: &str,
        settings: &Value,
        is_new_only: bool,
    ) -> Result<PutQueue, StoreError> {
        self.run("put_queue", |pool| async move {
            sqlx::query_scalar("/* put_queue */ select postq.put_queue($1, $2, $3)")
                .bind(name)
                .bind(Json(settings))
                .bind(is_new_only)
                .fetch_one(&pool)
                .await
                .map(|Json(put)| put)
        })
        .await
    }

    /// A `Queue`; none where it is neither declared nor in use.
    pub async fn queue(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.run("queue", |pool| async move {
            sqlx::query_scalar("/* queue */ select postq.queue_shown($1)")
                .bind(name)
                .fetch_one(&pool)
                .await
                .map(|queue: Option<Json<Value>>| queue.map(|Json(queue)| queue))
        })
        .await
    }

    /// The names and `Queue`s behind `after`, by name.
    pub async fn queues(
        &self,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(String, Value)>, StoreError> {
        let rows: Vec<(String, Json<Value>)> = self
            .run("queues", |pool| async move {
                sqlx::query_as(
                    "/* queues */ select n.name, postq.queue_shown(n.name)
                     from postq.queue_names($1, $2) n (name) order by n.name",
                )
                .bind(after)
                .bind(i32::try_from(limit).unwrap_or(i32::MAX))
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(|(name, Json(queue))| (name, queue)).collect())
    }

    /// Forgets a declared queue; whether there was one.
    pub async fn delete_queue(&self, name: &str, force: bool) -> Result<bool, StoreError> {
        self.run("delete_queue", |pool| async move {
            sqlx::query_scalar("/* delete_queue */ select postq.delete_queue($1, $2)")
                .bind(name)
                .bind(force)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Pauses a queue.
    pub async fn pause(&self, name: &str) -> Result<(), StoreError> {
        self.run("pause", |pool| async move {
            sqlx::query("/* pause */ select postq.pause($1)")
                .bind(name)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Resumes a queue.
    pub async fn resume(&self, name: &str) -> Result<(), StoreError> {
        self.run("resume", |pool| async move {
            sqlx::query("/* resume */ select postq.resume($1)")
                .bind(name)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }
}
