//! Facts about this database: the id of its blob store, whether its schema is current.

use uuid::Uuid;

use super::{Store, StoreError, migrate::functions_revision};

impl Store {
    /// The id of the blob store that belongs to this database, once there is one.
    pub async fn store_id(&self) -> Result<Option<Uuid>, StoreError> {
        let known: Option<String> = self
            .run("store_id", |pool| async move {
                sqlx::query_scalar(
                    "/* store_id */ select value from postq.fact where key = 'store_id'",
                )
                .fetch_optional(&pool)
                .await
            })
            .await?;
        Ok(known.and_then(|id| id.parse().ok()))
    }

    /// The id of the blob store that belongs to this database: `id` where it had none yet.
    pub async fn settle_store_id(&self, id: Uuid) -> Result<Uuid, StoreError> {
        let settled: String = self
            .run("settle_store_id", |pool| async move {
                sqlx::query(
                    "/* settle_store_id */ insert into postq.fact (key, value)
                             values ('store_id', $1) on conflict (key) do nothing",
                )
                .bind(id.to_string())
                .execute(&pool)
                .await?;
                sqlx::query_scalar(
                    "/* store_id */ select value from postq.fact where key = 'store_id'",
                )
                .fetch_one(&pool)
                .await
            })
            .await?;
        Ok(settled.parse().unwrap_or(Uuid::nil()))
    }

    /// Whether the database answers and carries at least this binary's functions.
    pub async fn is_current(&self) -> Result<bool, StoreError> {
        self.once("is_current", |pool| async move {
            sqlx::query_scalar(
                "/* is_current */ select exists (select from postq.fact
                 where key = 'functions_revision' and value::bigint >= $1)",
            )
            .bind(functions_revision())
            .fetch_one(&pool)
            .await
        })
        .await
    }
}
