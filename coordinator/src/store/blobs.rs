//! Where blobs are: `touch_blobs`, `add_pack`, `move_blobs`, `lose_blobs`.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, garbage::interval};

/// Where one blob is.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct BlobPlace {
    /// Of the blob.
    pub digest: Vec<u8>,
    /// The pack that holds it.
    pub pack: Uuid,
    /// Where it begins there, in bytes.
    pub place: i64,
    /// What it takes there, in bytes.
    pub stored_bytes: i32,
    /// The blob's own length where it is compressed.
    pub packed_bytes: Option<i32>,
}

impl Store {
    /// Those of `digests` that are nowhere. The others count as touched now; what was touched within
    /// `fresh` is not written again.
    pub async fn touch_blobs(
        &self,
        digests: &[Vec<u8>],
        fresh: Duration,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.run("touch_blobs", |pool| async move {
            sqlx::query_scalar("/* touch_blobs */ select postq.touch_blobs($1, $2)")
                .bind(digests)
                .bind(interval(fresh))
                .fetch_one(&pool)
                .await
        })
        .await
    }

    /// Where these blobs are; those that are nowhere are left out.
    pub async fn find_blobs(&self, digests: &[Vec<u8>]) -> Result<Vec<BlobPlace>, StoreError> {
        self.run("find_blobs", |pool| async move {
            sqlx::query_as(
                "/* find_blobs */ select digest, pack, place, stored_bytes, packed_bytes
                 from postq.blob where digest = any ($1)",
            )
            .bind(digests)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Makes known a pack of `size` bytes whose object is durable, with the blobs in it.
    pub async fn add_pack(
        &self,
        pack: Uuid,
        size: i64,
        blobs: &[BlobPlace],
    ) -> Result<(), StoreError> {
        self.run("add_pack", |pool| async move {
            sqlx::query("/* add_pack */ select postq.add_pack($1, $2, $3, $4, $5, $6)")
                .bind(pack)
                .bind(size)
                .bind(blobs.iter().map(|blob| blob.digest.clone()).collect::<Vec<_>>())
                .bind(blobs.iter().map(|blob| blob.place).collect::<Vec<_>>())
                .bind(blobs.iter().map(|blob| blob.stored_bytes).collect::<Vec<_>>())
                .bind(blobs.iter().map(|blob| blob.packed_bytes).collect::<Vec<_>>())
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Makes known that `blobs`, which were in the pack `from`, are in the pack `to` as well.
    pub async fn move_blobs(
        &self,
        from: Uuid,
        (to, size): (Uuid, i64),
        blobs: &[BlobPlace],
    ) -> Result<(), StoreError> {
        self.run("move_blobs", |pool| async move {
            sqlx::query("/* move_blobs */ select postq.move_blobs($1, $2, $3, $4, $5)")
                .bind(from)
                .bind(to)
                .bind(size)
                .bind(blobs.iter().map(|blob| blob.digest.clone()).collect::<Vec<_>>())
                .bind(blobs.iter().map(|blob| blob.place).collect::<Vec<_>>())
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Forgets blobs that a pack should hold and does not; all of them where none are named.
    pub async fn lose_blobs(
        &self,
        pack: Uuid,
        digests: Option<&[Vec<u8>]>,
    ) -> Result<i64, StoreError> {
        self.run("lose_blobs", |pool| async move {
            sqlx::query_scalar("/* lose_blobs */ select postq.lose_blobs($1, $2)")
                .bind(pack)
                .bind(digests)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}
