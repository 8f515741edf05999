//! Blobs on their way into the store: announced, received in pieces, verified, kept.
//!
//! Memory is bounded: a small blob is collected, a large one goes on to the store piece by piece.
//! Invariant: nothing appears in the store before it was verified, and all that was received is
//! durable when [`Intake::finish`] returns.

use bytes::Bytes;
use object_store::{MultipartUpload, PutPayload};
use postq_common::tree::Digest;
use tracing::warn;

use super::{BlobError, Blobs};

/// The largest blob, in bytes (64 GiB).
pub const MAX_BLOB_BYTES: u64 = 64 << 30;

/// Blobs up to this size are collected in memory.
const SMALL_BYTES: u64 = 1 << 20;

/// What is kept at once: so many small blobs, and no more than so many bytes of them.
const BATCH: usize = 64;
const BATCH_BYTES: u64 = 16 << 20;

/// Large blobs go to the store in parts of at least this size (S3 takes no smaller ones).
const PART_BYTES: usize = 8 << 20;

/// Why what is sent is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Data that belongs to no blob.
    #[error("data came before a blob was announced")]
    Unannounced,
    /// A blob began, or the stream ended, in the middle of another.
    #[error("the blob {digest} ended {missing} bytes early")]
    Short {
        /// Of the blob.
        digest: Digest,
        /// How many bytes it lacks.
        missing: u64,
    },
    /// More data than was announced.
    #[error("the blob {0} is longer than announced")]
    Long(Digest),
    /// A blob beyond [`MAX_BLOB_BYTES`].
    #[error("the blob {digest} of {size} bytes is too large; at most {MAX_BLOB_BYTES} can be kept")]
    TooLarge {
        /// Of the blob.
        digest: Digest,
        /// As announced.
        size: u64,
    },
    /// Its content is not what its digest says.
    #[error("what was sent as the blob {0} is something else")]
    Mismatch(Digest),
    /// It cannot be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// A stream of blobs.
pub struct Intake {
    blobs: Blobs,
    current: Option<Arriving>,
    batch: Vec<(Digest, PutPayload)>,
    batch_bytes: u64,
    kept: u64,
}

/// A blob of which a part has arrived.
struct Arriving {
    digest: Digest,
    missing: u64,
    hasher: blake3::Hasher,
    pieces: Vec<Bytes>,
    /// Set for a large blob: `pieces` are then those not yet passed on.
    upload: Option<Box<dyn MultipartUpload>>,
    held: usize,
}

impl Intake {
    /// Takes blobs into `blobs`.
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs, current: None, batch: Vec::new(), batch_bytes: 0, kept: 0 }
    }

    /// A blob is announced.
    pub async fn start(&mut self, digest: Digest, size: u64) -> Result<(), IntakeError> {
        self.expect_nothing()?;
        if size > MAX_BLOB_BYTES {
            return Err(IntakeError::TooLarge { digest, size });
        }
        let upload = if size > SMALL_BYTES { Some(self.blobs.begin(&digest).await?) } else { None };
        self.current = Some(Arriving {
            digest,
            missing: size,
            hasher: blake3::Hasher::new(),
            pieces: Vec::new(),
            upload,
            held: 0,
        });
        if size == 0 { self.complete().await } else { Ok(()) }
    }

    /// A piece of the announced blob.
    pub async fn data(&mut self, piece: Bytes) -> Result<(), IntakeError> {
        let Some(current) = &mut self.current else { return Err(IntakeError::Unannounced) };
        let Some(missing) = current.missing.checked_sub(piece.len() as u64) else {
            return Err(IntakeError::Long(current.digest));
        };
        current.missing = missing;
        current.hasher.update(&piece);
        current.held += piece.len();
        current.pieces.push(piece);
        if current.held >= PART_BYTES {
            current.pass_on().await?;
        }
        if missing == 0 { self.complete().await } else { Ok(()) }
    }

    /// The stream has ended. Returns how many blobs are kept, durably.
    pub async fn finish(mut self) -> Result<u64, IntakeError> {
        self.expect_nothing()?;
        self.keep_batch().await?;
        Ok(self.kept)
    }

    fn expect_nothing(&self) -> Result<(), IntakeError> {
        self.current.as_ref().map_or(Ok(()), |current| {
            Err(IntakeError::Short { digest: current.digest, missing: current.missing })
        })
    }

    async fn complete(&mut self) -> Result<(), IntakeError> {
        let Some(mut arrived) = self.current.take() else { return Ok(()) };
        let digest = arrived.digest;
        if Digest::from(arrived.hasher.finalize()) != digest {
            arrived.abort().await;
            return Err(IntakeError::Mismatch(digest));
        }
        if arrived.upload.is_some() {
            arrived.keep_large().await?;
            self.kept += 1;
            return Ok(());
        }
        self.batch_bytes += arrived.held as u64;
        self.batch.push((digest, PutPayload::from_iter(arrived.pieces)));
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.keep_batch().await?;
        }
        Ok(())
    }

    async fn keep_batch(&mut self) -> Result<(), IntakeError> {
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        self.blobs.put_all(batch).await?;
        self.batch_bytes = 0;
        self.kept += count;
        Ok(())
    }
}

impl Arriving {
    /// Hands the collected pieces of a large blob to the store.
    async fn pass_on(&mut self) -> Result<(), BlobError> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let part = PutPayload::from_iter(std::mem::take(&mut self.pieces));
        self.held = 0;
        upload.put_part(part).await.map_err(failed)
    }

    async fn keep_large(&mut self) -> Result<(), BlobError> {
        if self.held > 0 {
            self.pass_on().await?;
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.complete().await.map_err(failed)?;
        Ok(())
    }

    async fn abort(&mut self) {
        if let Some(upload) = &mut self.upload
            && let Err(error) = upload.abort().await
        {
            warn!(digest = %self.digest, %error, "a refused blob left a part in the store");
        }
    }
}

fn failed(source: object_store::Error) -> BlobError {
    BlobError::Store { verb: "keep a large blob", source }
}
