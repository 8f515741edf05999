//! The blob store: content by digest, in packs.
//!
//! It knows nothing of trees and jobs. Invariant: a blob that becomes known is durable, and is verified
//! against its digest before it is given out; one found damaged is forgotten, so that it counts as missing
//! and can be sent again. (What comes by here is verified before it becomes known, too; what an agent puts
//! into the store itself is not, see `direct`.)

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use postq_common::{
    frame::Frame,
    tree::{Digest, Snapshot},
};
use uuid::Uuid;

use super::{
    joins::off,
    pack::{self, Run},
    place::Place,
};
use crate::store::{Store, StoreError};

/// A blob that nobody has asked for so long, and no snapshot that is kept holds, may go.
pub const GRACE: Duration = Duration::from_hours(24);

/// How long a touch lasts before it is written again: asking is frequent, writing should not be.
pub(super) const FRESH: Duration = Duration::from_hours(1);

/// What is read from a pack at once, and how much of it ahead of its turn: enough to hide the latency
/// of a remote store; 16 MiB per reader.
const RUN_BYTES: i64 = 4 << 20;
const RUNS_AHEAD: usize = 4;

/// Why a blob cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The store does not hold it (any more).
    #[error("the blob {0} is not in the store")]
    Missing(Digest),
    /// The store holds something else under its name.
    #[error("the blob {0} is damaged in the store")]
    Damaged(Digest),
    /// It is no tree node or snapshot, though it is used as one.
    #[error("the blob {0} is not what it is used as")]
    Unfit(Digest),
    /// The store, or the database that knows where blobs are, does not answer as it should.
    #[error("the blob store cannot {verb}")]
    Store {
        /// What was tried.
        verb: &'static str,
        /// What it says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BlobError {
    pub(super) fn store<E: Error + Send + Sync + 'static>(
        verb: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Store { verb, source: Box::new(source) }
    }
}

impl BlobError {
    /// Whether the store has no room left: waiting alone does not help.
    pub fn is_full(&self) -> bool {
        self.causes().any(|error| {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        })
    }

    /// Whether the store does not let this coordinator: waiting alone does not help either.
    pub fn is_refused(&self) -> bool {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        self.causes().any(|error| {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            matches!(
                kind,
                Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            ) || matches!(
                error.downcast_ref(),
                Some(PermissionDenied { .. } | Unauthenticated { .. })
            )
        })
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> + '_ {
        std::iter::successors(self.source(), |error| (*error).source())
    }
}

impl From<StoreError> for BlobError {
    fn from(error: StoreError) -> Self {
        Self::store("look up blobs")(error)
    }
}

/// Who verifies what is read. Hashing is most of the work of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// What is damaged is found, forgotten and named here.
    Now,
    /// Whoever gets it finds that it is damaged, and asks again with [`Check::Now`].
    Later,
}

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(super) place: Place,
    pub(super) index: Store,
    id: Uuid,
}

impl Blobs {
    pub(super) fn new(place: Place, index: Store, id: Uuid) -> Self {
        Self { place, index, id }
    }

    /// The id of this store; the database holds it as well.
    pub fn store_id(&self) -> Uuid {
        self.id
    }

    /// Those of `digests` that the store lacks. The others stay for at least [`GRACE`].
    pub async fn find_missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let digests: Vec<Vec<u8>> = digests.iter().map(|it| it.as_bytes().to_vec()).collect();
        let missing = self.index.touch_blobs(&digests, FRESH).await?;
        Ok(missing.iter().filter_map(|field| Digest::try_from(&field[..]).ok()).collect())
    }

    /// Keeps blobs that are not large; their digests. Durable when this returns.
    pub async fn put(&self, blobs: Vec<Bytes>) -> Result<Vec<Digest>, BlobError> {
        let name = |blob: Bytes| (Digest::of(&blob), blob);
        let named: Vec<_> = off(move || blobs.into_iter().map(name).collect()).await;
        let digests = named.iter().map(|(digest, _)| *digest).collect();
        self.put_all(named).await?;
        Ok(digests)
    }

    /// Keeps small blobs, whose digests the caller has made. Durable when this returns.
    pub(super) async fn put_all(&self, blobs: Vec<(Digest, Bytes)>) -> Result<(), BlobError> {
        let digests: Vec<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
        let missing = self.find_missing(&digests).await?;
        let pack = move || {
            let frames = blobs.into_iter().filter(|(digest, _)| missing.contains(digest));
            frames.map(|(digest, bytes)| Frame::new(digest, bytes)).collect()
        };
        let frames = off(pack).await;
        for frames in pack::split(frames) {
            self.keep(frames).await?;
        }
        Ok(())
    }

    /// The blobs asked for, each once, in an order that suits the store.
    pub fn frames(
        &self,
        digests: Vec<Digest>,
        check: Check,
    ) -> BoxStream<'static, Result<Vec<Frame>, BlobError>> {
        let (blobs, reader) = (self.clone(), self.clone());
        stream::once(async move { blobs.runs(&digests).await })
            .map_ok(|runs| stream::iter(runs.into_iter().map(Ok)))
            .try_flatten()
            .map_ok(move |run| {
                let blobs = reader.clone();
                async move { blobs.read_run(run, check).await }
            })
            .try_buffered(RUNS_AHEAD)
            .boxed()
    }

    async fn runs(&self, digests: &[Digest]) -> Result<Vec<Run>, BlobError> {
        let wanted: Vec<Vec<u8>> = digests.iter().map(|it| it.as_bytes().to_vec()).collect();
        let found = self.index.find_blobs(&wanted).await?;
        pack::runs(digests, found, RUN_BYTES)
    }

    /// Reads a tree node, or anything else that is not large.
    pub async fn read(&self, digest: Digest) -> Result<Bytes, BlobError> {
        let blobs = self.read_all(vec![digest]).await?;
        blobs.into_iter().next().map(|(_, bytes)| bytes).ok_or(BlobError::Missing(digest))
    }

    /// Reads many tree nodes.
    pub(super) async fn read_all(
        &self,
        digests: Vec<Digest>,
    ) -> Result<Vec<(Digest, Bytes)>, BlobError> {
        let frames: Vec<Vec<Frame>> = self.frames(digests, Check::Now).try_collect().await?;
        let open = |frame: Frame| {
            let damaged = |_| BlobError::Damaged(frame.digest);
            Ok((frame.digest, frame.open().map_err(damaged)?))
        };
        frames.into_iter().flatten().map(open).collect()
    }

    /// The snapshot that a job's `input` names.
    pub async fn snapshot(&self, digest: Digest) -> Result<Snapshot, BlobError> {
        let bytes = self.read(digest).await?;
        Snapshot::parse(bytes).map_err(|_| BlobError::Unfit(digest))
    }

    /// Keeps the blob that names `snapshot` by one digest.
    pub async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<Digest, BlobError> {
        let digest = snapshot.digest();
        self.put_all(vec![(digest, snapshot.encode())]).await?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: impl Error + Send + Sync + 'static) -> BlobError {
        BlobError::store("keep a pack")(source)
    }

    #[test]
    fn a_store_that_is_full_or_refuses_is_told_from_one_that_is_away() {
        let io = |kind| {
            let source = Box::new(io::Error::from(kind));
            object_store::Error::Generic { store: "local", source }
        };
        let denied = object_store::Error::PermissionDenied {
            path: "p".to_owned(),
            source: "AccessDenied".into(),
        };
        assert!(of(denied).is_refused());
        assert!(of(io(io::ErrorKind::ReadOnlyFilesystem)).is_refused());
        let full = of(io(io::ErrorKind::StorageFull));
        assert!(full.is_full() && !full.is_refused());
        let away = of(io(io::ErrorKind::ConnectionRefused));
        assert!(!away.is_full() && !away.is_refused());
    }
}
