//! The blob store: content by digest, in an object store.
//!
//! It knows nothing of trees and jobs. Invariant: a blob under a digest was verified against it
//! before it appeared, whole and durable, under that name; one found damaged later is moved aside,
//! so that it counts as missing and can be sent again.

use std::sync::Arc;

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path,
};
use postq_common::tree::{Digest, MAX_NODE_BYTES, Snapshot};
use tokio_util::io::ReaderStream;
use tracing::error;
use uuid::Uuid;

/// How much of a blob is read at once, in bytes.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Requests to the store at a time, per call: enough to hide its latency.
const AT_ONCE: usize = 16;

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
    /// The store does not answer as it should.
    #[error("the blob store cannot {verb}")]
    Store {
        /// What was tried.
        verb: &'static str,
        /// What the store says.
        source: object_store::Error,
    },
}

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    id: Uuid,
}

/// A blob that is being read.
pub struct Blob {
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes in order, in pieces of at most [`PIECE_BYTES`]; fails at the end where they turn
    /// out to be damaged.
    pub pieces: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl Blobs {
    pub(super) fn new(store: Arc<dyn ObjectStore>, id: Uuid) -> Self {
        Self { store, id }
    }

    /// The id of this store; the database holds it as well.
    pub fn store_id(&self) -> Uuid {
        self.id
    }

    /// Those of `digests` that the store lacks.
    pub async fn find_missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>, BlobError> {
        let looks = stream::iter(digests).map(|digest| async move {
            match self.store.head(&place(&digest)).await {
                Ok(_) => Ok(None),
                Err(object_store::Error::NotFound { .. }) => Ok(Some(digest)),
                Err(source) => Err(BlobError::Store { verb: "look for a blob", source }),
            }
        });
        looks.buffered(AT_ONCE).try_filter_map(|found| async move { Ok(found) }).try_collect().await
    }

    /// Keeps `bytes`, whose digest the caller has verified. Durable when this returns.
    pub(super) async fn put(&self, digest: Digest, bytes: PutPayload) -> Result<(), BlobError> {
        match self.store.put_opts(&place(&digest), bytes, PutMode::Create.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(BlobError::Store { verb: "keep a blob", source }),
        }
    }

    /// Keeps many small blobs.
    pub(super) async fn put_all<B: Into<PutPayload>>(
        &self,
        blobs: Vec<(Digest, B)>,
    ) -> Result<(), BlobError> {
        let puts = blobs.into_iter().map(|(digest, bytes)| self.put(digest, bytes.into()));
        stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Begins to keep a large blob, which appears when the upload is completed.
    pub(super) async fn begin(
        &self,
        digest: &Digest,
    ) -> Result<Box<dyn MultipartUpload>, BlobError> {
        let begun = self.store.put_multipart(&place(digest)).await;
        begun.map_err(|source| BlobError::Store { verb: "keep a large blob", source })
    }

    /// Opens a blob for reading.
    pub async fn open(&self, digest: Digest) -> Result<Blob, BlobError> {
        let failed = |source| BlobError::Store { verb: "read a blob", source };
        let found = match self.store.get(&place(&digest)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::Missing(digest)),
            Err(source) => return Err(failed(source)),
        };
        let size = found.meta.size;
        let pieces = match found.payload {
            GetResultPayload::File(file, _) => {
                let file = tokio::fs::File::from_std(file);
                let pieces = ReaderStream::with_capacity(file, PIECE_BYTES);
                pieces.map_err(object_store_error).boxed()
            }
            GetResultPayload::Stream(pieces) => pieces.map(split).try_flatten().boxed(),
        };
        let pieces = verified(self.clone(), digest, pieces.map_err(failed).boxed());
        Ok(Blob { size, pieces })
    }

    /// Reads a tree node, or anything else that is not large.
    pub async fn read(&self, digest: Digest) -> Result<Bytes, BlobError> {
        let blob = self.open(digest).await?;
        if blob.size > MAX_NODE_BYTES as u64 {
            return Err(BlobError::Unfit(digest));
        }
        let mut pieces: Vec<Bytes> = blob.pieces.try_collect().await?;
        Ok(match pieces.len() {
            1 => pieces.remove(0),
            _ => pieces.concat().into(),
        })
    }

    /// Reads many tree nodes.
    pub(super) async fn read_all(
        &self,
        digests: Vec<Digest>,
    ) -> Result<Vec<(Digest, Bytes)>, BlobError> {
        let reads = digests
            .into_iter()
            .map(|digest| async move { self.read(digest).await.map(|bytes| (digest, bytes)) });
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The snapshot that a job's `input` names.
    pub async fn snapshot(&self, digest: Digest) -> Result<Snapshot, BlobError> {
        let bytes = self.read(digest).await?;
        Snapshot::parse(bytes).map_err(|_| BlobError::Unfit(digest))
    }

    /// Keeps the blob that names `snapshot` by one digest.
    pub async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<Digest, BlobError> {
        let digest = snapshot.digest();
        self.put(digest, snapshot.encode().into()).await?;
        Ok(digest)
    }

    async fn set_aside(&self, digest: Digest) {
        error!(%digest, "a blob is damaged in the store; moving it aside");
        let aside = Path::from(format!("damaged/{digest}"));
        if let Err(error) = self.store.rename(&place(&digest), &aside).await {
            error!(%digest, %error, "a damaged blob cannot be moved aside");
        }
    }
}

/// Where a blob is: in one of 256 directories by the first byte of its digest.
fn place(digest: &Digest) -> Path {
    let name = digest.to_string();
    Path::from(format!("blobs/{}/{name}", &name[..2]))
}

/// Passes the pieces on and, after the last, tells whether they were the right ones.
fn verified(
    blobs: Blobs,
    digest: Digest,
    pieces: BoxStream<'static, Result<Bytes, BlobError>>,
) -> BoxStream<'static, Result<Bytes, BlobError>> {
    let start = (blobs, pieces, blake3::Hasher::new());
    stream::try_unfold(start, move |(blobs, mut pieces, mut hasher)| async move {
        if let Some(piece) = pieces.next().await {
            let piece = piece?;
            hasher.update(&piece);
            return Ok(Some((piece, (blobs, pieces, hasher))));
        }
        if Digest::from(hasher.finalize()) == digest {
            return Ok(None);
        }
        blobs.set_aside(digest).await;
        Err(BlobError::Damaged(digest))
    })
    .boxed()
}

fn split(
    piece: object_store::Result<Bytes>,
) -> object_store::Result<BoxStream<'static, object_store::Result<Bytes>>> {
    let mut rest = piece?;
    let next = move || (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE_BYTES))));
    Ok(stream::iter(std::iter::from_fn(next)).boxed())
}

fn object_store_error(source: std::io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "local", source: source.into() }
}
