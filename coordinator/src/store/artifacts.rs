//! Files that stay when their job is forgotten: `keep_artifacts`, `delete_artifacts`.

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Roots, Store, StoreError};

/// What stays of a job's files.
#[derive(Clone, Debug, FromRow)]
pub struct ArtifactRow {
    /// Whose.
    pub job: Uuid,
    /// The job's name.
    pub name: String,
    /// The job's queue.
    pub queue: String,
    /// How the job ended.
    pub state: String,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    content: Option<Vec<u8>>,
    times: Option<Vec<u8>>,
    /// How many files there are.
    pub files: i64,
    /// Of all files.
    pub size_bytes: i64,
    /// Why there are none.
    pub reason: Option<String>,
}

impl ArtifactRow {
    /// The roots of their trees; none where nothing could be kept.
    pub fn roots(&self) -> Option<Roots> {
        let (content, times) = (self.content.clone()?, self.times.clone()?);
        Some(Roots { content, provenance: Vec::new(), times })
    }
}

/// What is to stay.
#[derive(Clone, Debug)]
pub enum Artifacts {
    /// These files.
    Files {
        /// The roots of their trees.
        roots: Roots,
        /// How many there are.
        files: i64,
        /// Of all files.
        bytes: i64,
    },
    /// Nothing, for this reason.
    Nothing(String),
}

impl Store {
    /// Notes what stays of a job that has ended; the first word counts.
    pub async fn keep_artifacts(
        &self,
        job: JobId,
        artifacts: &Artifacts,
    ) -> Result<(), StoreError> {
        let (roots, files, bytes, reason) = match artifacts {
            Artifacts::Files { roots, files, bytes } => (Some(roots), *files, *bytes, None),
            Artifacts::Nothing(reason) => (None, 0, 0, Some(reason)),
        };
        self.run("keep_artifacts", |pool| async move {
            sqlx::query("/* keep_artifacts */ select postq.keep_artifacts($1, $2, $3, $4, $5, $6)")
                .bind(job.0)
                .bind(roots.map(|roots| &roots.content))
                .bind(roots.map(|roots| &roots.times))
                .bind(files)
                .bind(bytes)
                .bind(reason)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Forgets what stayed of a job; whether there was anything.
    pub async fn delete_artifacts(&self, job: JobId) -> Result<bool, StoreError> {
        self.run("delete_artifacts", |pool| async move {
            sqlx::query_scalar("/* delete_artifacts */ select postq.delete_artifacts($1)")
                .bind(job.0)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// What stays of a job.
    pub async fn artifacts_of(&self, job: JobId) -> Result<Option<ArtifactRow>, StoreError> {
        self.run("artifacts_of", |pool| async move {
            sqlx::query_as(
                "/* artifacts_of */ select job, name, queue, state::text,
                 finished_at, content, times, files, size_bytes, reason
                 from postq.artifact where job = $1",
            )
            .bind(job.0)
            .fetch_optional(&pool)
            .await
        })
        .await
    }

    /// What stays of jobs, the newest first, behind `after`.
    pub async fn artifacts(
        &self,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ArtifactRow>, StoreError> {
        self.run("artifacts", |pool| async move {
            sqlx::query_as(
                "/* artifacts */ select job, name, queue, state::text,
                 finished_at, content, times, files, size_bytes, reason from postq.artifact
                 where $1::uuid is null or job < $1 order by job desc limit $2",
            )
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
