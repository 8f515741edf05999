//! Output of attempts: stored in numbered chunks, each counting once.

use bytes::Bytes;
use postq_common::id::{AttemptId, JobId};
use sqlx::FromRow;
use uuid::Uuid;

use super::{AttemptKey, Store, StoreError};

/// One chunk as an agent pushes it.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// Whose output.
    pub key: AttemptKey,
    /// From 1.
    pub number: i64,
    /// 1 is standard output, 2 standard error, 3 a word of PostQ's own.
    pub stream: i16,
    /// The bytes.
    pub data: Bytes,
}

/// One chunk as it is read.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Chunk {
    /// From 1.
    pub number: i64,
    /// See [`NewChunk`].
    pub stream: i16,
    /// The bytes.
    pub data: Vec<u8>,
}

/// An attempt whose output can be read.
#[derive(Clone, Debug, FromRow)]
pub struct LoggedAttempt {
    /// Its id.
    pub id: i64,
    /// The task's name.
    pub task: String,
    /// It still runs.
    pub is_open: bool,
    /// How many chunks it has in all, where its agent told.
    pub log_chunks: Option<i64>,
}

impl Store {
    /// Stores chunks of attempts that exist; a chunk that is there already stays as it is.
    pub async fn push_logs(&self, chunks: &[NewChunk]) -> Result<(), StoreError> {
        self.run("push_logs", |pool| async move {
            sqlx::query("/* push_logs */ select postq.push_logs($1, $2, $3, $4, $5, $6)")
                .bind(chunks.iter().map(|c| c.key.attempt.0).collect::<Vec<_>>())
                .bind(chunks.iter().map(|c| c.key.job.0).collect::<Vec<_>>())
                .bind(chunks.iter().map(|c| c.key.task.0).collect::<Vec<_>>())
                .bind(chunks.iter().map(|c| c.number).collect::<Vec<_>>())
                .bind(chunks.iter().map(|c| c.stream).collect::<Vec<_>>())
                .bind(chunks.iter().map(|c| c.data.to_vec()).collect::<Vec<_>>())
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// The attempts of a job in the order they were made, behind `after`.
    pub async fn logged_attempts(
        &self,
        job: JobId,
        tasks: &[String],
        attempt: Option<AttemptId>,
    ) -> Result<Vec<LoggedAttempt>, StoreError> {
        self.run("logged_attempts", |pool| async move {
            sqlx::query_as(
                "/* logged_attempts */ select x.id, s.name as task, x.is_open, x.log_chunks
                 from (select a.id, a.n, false as is_open, a.log_chunks
                       from postq.attempt a where a.job = $1
                       union all
                       select o.attempt, o.n, true, null from postq.open_attempt o where o.job = $1) x
                 join postq.task_spec s on s.job = $1 and s.n = x.n
                 where (cardinality($2::text[]) = 0 or s.name = any ($2))
                   and ($3::bigint is null or x.id = $3)
                 order by x.id",
            )
            .bind(job.0)
            .bind(tasks)
            .bind(attempt.map(|a| a.0))
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Chunks of one attempt that are in Postgres, behind `after`, at most `limit`.
    pub async fn chunks(
        &self,
        attempt: AttemptId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.run("chunks", |pool| async move {
            sqlx::query_as(
                "/* chunks */ select number, stream, data from postq.log_chunk
                 where attempt = $1 and number > $2 order by number limit $3",
            )
            .bind(attempt.0)
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Whether there is such a job.
    pub async fn job_exists(&self, job: JobId) -> Result<bool, StoreError> {
        let id: Uuid = job.0;
        self.run("job_exists", |pool| async move {
            sqlx::query_scalar(
                "/* job_exists */ select exists (select from postq.job where id = $1)",
            )
            .bind(id)
            .fetch_one(&pool)
            .await
        })
        .await
    }
}
