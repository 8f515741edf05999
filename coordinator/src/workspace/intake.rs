//! Blobs on their way into the store: announced and received in pieces, or many in one piece;
//! verified, packed, kept.
//!
//! Memory is bounded: the pack that is being filled, and those that are being written. Invariant:
//! nothing becomes known before it was verified, and all that was received is durable when
//! [`Intake::finish`] returns.

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use postq_common::{
    frame::{Frame, MAX_BLOB_BYTES},
    tree::Digest,
};

use postq_runtime::crash;

use super::{
    BlobError, Blobs,
    pack::{PACK_BLOBS, PACK_BYTES},
};

/// Packs that are written while the next one fills.
const WRITTEN_AT_ONCE: usize = 2;

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
    pack: Vec<Frame>,
    pack_bytes: usize,
    writing: FuturesUnordered<BoxFuture<'static, Result<(), BlobError>>>,
    kept: u64,
}

/// A blob of which a part has arrived.
struct Arriving {
    digest: Digest,
    size: u64,
    bytes: BytesMut,
}

impl Intake {
    /// Takes blobs into `blobs`.
    pub fn new(blobs: Blobs) -> Self {
        let (pack, writing) = (Vec::new(), FuturesUnordered::new());
        Self { blobs, current: None, pack, pack_bytes: 0, writing, kept: 0 }
    }

    /// A blob is announced.
    pub async fn start(&mut self, digest: Digest, size: u64) -> Result<(), IntakeError> {
        self.expect_nothing()?;
        if size > MAX_BLOB_BYTES {
            return Err(IntakeError::TooLarge { digest, size });
        }
        self.current = Some(Arriving { digest, size, bytes: BytesMut::new() });
        if size == 0 { self.complete().await } else { Ok(()) }
    }

    /// A piece of the announced blob.
    pub async fn data(&mut self, piece: Bytes) -> Result<(), IntakeError> {
        let Some(current) = &mut self.current else { return Err(IntakeError::Unannounced) };
        let missing = current.missing().checked_sub(piece.len() as u64);
        let Some(missing) = missing else { return Err(IntakeError::Long(current.digest)) };
        current.bytes.extend_from_slice(&piece);
        if missing == 0 { self.complete().await } else { Ok(()) }
    }

    /// Whole blobs.
    pub async fn batch(&mut self, frames: Vec<Frame>) -> Result<(), IntakeError> {
        self.expect_nothing()?;
        crash::point("intake.received");
        if let Some(large) = frames.iter().find(|frame| frame.size() > MAX_BLOB_BYTES) {
            let (digest, size) = (large.digest, large.size());
            return Err(IntakeError::TooLarge { digest, size });
        }
        let verify = move || {
            let bad = frames.iter().find_map(|frame| frame.open().err());
            bad.map_or(Ok(frames), |bad| Err(IntakeError::Mismatch(bad.0)))
        };
        let verified = tokio::task::spawn_blocking(verify).await;
        let frames = verified.map_err(BlobError::store("verify blobs"))??;
        for frame in frames {
            self.kept += 1;
            self.pack_bytes += frame.bytes.len();
            self.pack.push(frame);
            if self.pack_bytes >= PACK_BYTES || self.pack.len() >= PACK_BLOBS {
                self.write_pack().await?;
            }
        }
        Ok(())
    }

    /// The stream has ended. Returns how many blobs are kept, durably.
    pub async fn finish(mut self) -> Result<u64, IntakeError> {
        self.expect_nothing()?;
        self.write_pack().await?;
        while let Some(written) = self.writing.next().await {
            written?;
        }
        Ok(self.kept)
    }

    fn expect_nothing(&self) -> Result<(), IntakeError> {
        self.current.as_ref().map_or(Ok(()), |current| {
            Err(IntakeError::Short { digest: current.digest, missing: current.missing() })
        })
    }

    async fn complete(&mut self) -> Result<(), IntakeError> {
        let Some(Arriving { digest, bytes, .. }) = self.current.take() else { return Ok(()) };
        self.batch(vec![Frame::plain(digest, bytes.freeze())]).await
    }

    async fn write_pack(&mut self) -> Result<(), IntakeError> {
        self.pack_bytes = 0;
        let (blobs, mut frames) = (self.blobs.clone(), std::mem::take(&mut self.pack));
        let mut seen = std::collections::HashSet::new();
        frames.retain(|frame| seen.insert(frame.digest));
        self.writing.push(async move { blobs.keep(frames).await }.boxed());
        // Begins to write it, and waits where too many are.
        while let Some(Some(written)) = self.writing.next().now_or_never() {
            written?;
        }
        while self.writing.len() > WRITTEN_AT_ONCE {
            self.writing.next().await.transpose()?;
        }
        Ok(())
    }
}

impl Arriving {
    fn missing(&self) -> u64 {
        self.size - self.bytes.len() as u64
    }
}
