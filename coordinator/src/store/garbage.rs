//! What the collector of garbage asks and does: `begin_collection`, `sweep_blobs`, `condemn_packs`,
//! `forget_packs`, `trim_snapshots`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use sqlx::{FromRow, postgres::types::PgInterval};
use uuid::Uuid;

use super::{BlobPlace, Roots, Store, StoreError};

/// A page of forgotten blobs.
#[derive(Clone, Debug, FromRow)]
pub struct SweptBlobs {
    /// The last digest that was looked at; none: there are no more.
    #[sqlx(rename = "o_last")]
    pub last: Option<Vec<u8>>,
    /// How many were forgotten.
    #[sqlx(rename = "o_count")]
    pub count: i64,
    /// What they took in their packs.
    #[sqlx(rename = "o_bytes")]
    pub bytes: i64,
}

/// A snapshot that is kept.
#[derive(Clone, Debug, FromRow)]
pub struct KeptSnapshot {
    /// Whose.
    pub job: Uuid,
    /// Of which task; -1: the job's input; -2: what stays when the job is forgotten.
    pub n: i32,
    content: Vec<u8>,
    provenance: Vec<u8>,
    times: Vec<u8>,
}

impl KeptSnapshot {
    /// Its roots.
    pub fn roots(self) -> Roots {
        Roots { content: self.content, provenance: self.provenance, times: self.times }
    }
}

/// An ended job whose snapshots have not been looked through.
#[derive(Clone, Debug, FromRow)]
pub struct Untrimmed {
    /// The job.
    pub job: Uuid,
    /// `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// `keep_workspace` as the job says it, if it does.
    pub keep: Option<String>,
    /// Patterns of the files that stay when it is forgotten.
    pub artifacts: Vec<String>,
}

impl Store {
    /// Whether it is this coordinator's turn: nobody has begun within `period`.
    pub async fn begin_collection(&self, period: Duration) -> Result<bool, StoreError> {
        self.once("begin_collection", |pool| async move {
            sqlx::query_scalar("/* begin_collection */ select postq.begin_collection($1)")
                .bind(interval(period))
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// The time by the database's clock, so long ago.
    pub async fn time_before(&self, ago: Duration) -> Result<DateTime<Utc>, StoreError> {
        self.run("time_before", |pool| async move {
            sqlx::query_scalar("/* time_before */ select postq.now() - $1")
                .bind(interval(ago))
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Whether any blob was last touched before then.
    pub async fn has_old_blobs(&self, before: DateTime<Utc>) -> Result<bool, StoreError> {
        self.run("has_old_blobs", |pool| async move {
            sqlx::query_scalar(
                "/* has_old_blobs */ select exists (select from postq.blob where touched_at < $1)",
            )
            .bind(before)
            .fetch_one(&pool)
            .await
        })
        .await
    }

    /// Snapshots that are kept, in the order of job and task, behind `after`.
    pub async fn kept_snapshots(
        &self,
        after: (Uuid, i32),
        limit: i64,
    ) -> Result<Vec<KeptSnapshot>, StoreError> {
        self.run("kept_snapshots", |pool| async move {
            sqlx::query_as(
                "/* kept_snapshots */ select k.job, k.n, k.content, k.provenance, k.times
                 from ((select job, n, content, provenance, times from postq.snapshot
                        where (job, n) > ($1, $2) order by job, n limit $3)
                       union all
                       (select job, -2, content, ''::bytea, times from postq.artifact
                        where (job, -2) > ($1, $2) and content is not null order by job limit $3)) k
                 order by k.job, k.n limit $3",
            )
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Forgets blobs behind `after` that were last touched before `before`.
    pub async fn sweep_blobs(
        &self,
        after: &[u8],
        before: DateTime<Utc>,
        limit: i32,
    ) -> Result<SweptBlobs, StoreError> {
        self.run("sweep_blobs", |pool| async move {
            sqlx::query_as("/* sweep_blobs */ select * from postq.sweep_blobs($1, $2, $3)")
                .bind(after)
                .bind(before)
                .bind(limit)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Packs whose objects may go: nothing of them was used since before then.
    pub async fn condemn_packs(&self, before: DateTime<Utc>) -> Result<Vec<Uuid>, StoreError> {
        self.run("condemn_packs", |pool| async move {
            sqlx::query_scalar("/* condemn_packs */ select postq.condemn_packs($1)")
                .bind(before)
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Forgets packs whose objects are gone.
    pub async fn forget_packs(&self, packs: &[Uuid]) -> Result<(), StoreError> {
        self.run("forget_packs", |pool| async move {
            sqlx::query("/* forget_packs */ select postq.forget_packs($1)")
                .bind(packs)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Packs of which less than half is used, at most `limit`.
    pub async fn wasteful_packs(&self, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        self.run("wasteful_packs", |pool| async move {
            sqlx::query_scalar(
                "/* wasteful_packs */ select p.id from postq.pack p
                 join postq.blob b on b.pack = p.id
                 where p.condemned_at is null
                 group by p.id having sum(b.stored_bytes) * 2 < p.size_bytes limit $1",
            )
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The blobs of a pack, in its order.
    pub async fn blobs_of_pack(&self, pack: Uuid) -> Result<Vec<BlobPlace>, StoreError> {
        self.run("blobs_of_pack", |pool| async move {
            sqlx::query_as(
                "/* blobs_of_pack */ select digest, pack, place, stored_bytes, packed_bytes
                 from postq.blob where pack = $1 order by place",
            )
            .bind(pack)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Those of `packs` that the database knows.
    pub async fn known_packs(&self, packs: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        self.run("known_packs", |pool| async move {
            sqlx::query_scalar("/* known_packs */ select id from postq.pack where id = any ($1)")
                .bind(packs)
                .fetch_all(&pool)
                .await
        })
        .await
    }

    /// Ended jobs behind `after` whose snapshots have not been looked through.
    pub async fn untrimmed_jobs(
        &self,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<Untrimmed>, StoreError> {
        self.run("untrimmed_jobs", |pool| async move {
            sqlx::query_as(
                "/* untrimmed_jobs */ select s.job, j.state::text as state,
                     coalesce(js.spec ->> 'keep_workspace', js.spec ->> 'keepWorkspace') as keep,
                     array(select jsonb_array_elements_text(coalesce(js.spec -> 'artifacts', '[]'))) as artifacts
                 from (select distinct w.job from postq.snapshot w
                       where w.job > $1 and not w.is_trimmed order by w.job limit $2) s
                 join postq.job j on j.id = s.job
                 join postq.job_spec js on js.job = s.job
                 order by s.job",
            )
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Keeps all snapshots of an ended job for good.
    pub async fn keep_snapshots(&self, job: JobId) -> Result<(), StoreError> {
        self.run("keep_snapshots", |pool| async move {
            sqlx::query("/* keep_snapshots */ select postq.trim_snapshots($1, null)")
                .bind(job.0)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Drops all snapshots of an ended job but those of `kept` and its input; how many.
    pub async fn trim_snapshots(&self, job: JobId, kept: &[i32]) -> Result<i64, StoreError> {
        self.run("trim_snapshots", |pool| async move {
            sqlx::query_scalar("/* trim_snapshots */ select postq.trim_snapshots($1, $2)")
                .bind(job.0)
                .bind(kept)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}

/// As Postgres takes it.
pub(super) fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
