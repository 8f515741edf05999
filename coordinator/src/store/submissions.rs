//! Jobs that came by SQL and wait to be planned.

use postq_common::id::JobId;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Store, StoreError};

/// A stored document.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its place in the line.
    pub seq: i64,
    /// The job it will be.
    pub job: JobId,
    /// A `JobSpec` in proto3-JSON.
    pub document: Value,
}

impl Store {
    /// The submissions behind `after`, oldest first. Taking one is the business of `admit`.
    pub async fn submissions(&self, after: i64, limit: i64) -> Result<Vec<Submission>, StoreError> {
        let rows: Vec<(i64, Uuid, Json<Value>)> = self
            .run("submissions", |pool| async move {
                sqlx::query_as(
                    "/* submissions */ select seq, job, document from postq.submission
                     where seq > $1 order by seq limit $2",
                )
                .bind(after)
                .bind(limit)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|(seq, job, Json(document))| Submission { seq, job: JobId(job), document })
            .collect())
    }
}
