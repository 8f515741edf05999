//! A blob as it travels and is stored: as it is, or compressed where that pays.
//!
//! Invariant: a frame that opens has the bytes that its digest names; one that is damaged, or lies
//! about its size, does not open.

use bytes::Bytes;

use crate::tree::{Digest, MAX_NODE_BYTES};

/// The largest blob, in bytes: that of the largest tree node.
pub const MAX_BLOB_BYTES: u64 = MAX_NODE_BYTES as u64;

/// Smaller blobs gain less than the work costs.
const MIN_COMPRESSED: usize = 4 << 10;
/// How much of a large blob is tried first.
const SAMPLE_BYTES: usize = 16 << 10;
/// The fastest that still helps: the network and the disk are not slow enough for more.
const LEVEL: i32 = 1;

/// One blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of the blob's own bytes.
    pub digest: Digest,
    /// The blob, or one zstd frame that holds it.
    pub bytes: Bytes,
    /// The blob's length where it is compressed.
    pub packed: Option<u64>,
}

/// What a frame holds is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes of the blob {0} are something else")]
pub struct BadFrame(pub Digest);

impl Frame {
    /// `bytes`, whose digest the caller knows, compressed where that pays.
    pub fn new(digest: Digest, bytes: Bytes) -> Self {
        let packed = (bytes.len() >= MIN_COMPRESSED && is_promising(&bytes))
            .then(|| zstd::bulk::compress(&bytes, LEVEL).ok())
            .flatten()
            .filter(|packed| pays(packed.len(), bytes.len()));
        match packed {
            Some(packed) => Self { digest, packed: Some(bytes.len() as u64), bytes: packed.into() },
            None => Self { digest, packed: None, bytes },
        }
    }

    /// `bytes` as they are.
    pub fn plain(digest: Digest, bytes: Bytes) -> Self {
        Self { digest, bytes, packed: None }
    }

    /// The blob's length as the frame tells it.
    pub fn size(&self) -> u64 {
        self.packed.unwrap_or(self.bytes.len() as u64)
    }

    /// The blob, verified.
    pub fn open(&self) -> Result<Bytes, BadFrame> {
        let bad = BadFrame(self.digest);
        let bytes = match self.packed {
            None => self.bytes.clone(),
            Some(size) if size > MAX_BLOB_BYTES => return Err(bad),
            Some(size) => unpack(&self.bytes, size).ok_or(bad)?.into(),
        };
        if Digest::of(&bytes) == self.digest { Ok(bytes) } else { Err(bad) }
    }
}

/// Exactly so many bytes.
fn unpack(packed: &[u8], size: u64) -> Option<Vec<u8>> {
    let capacity = usize::try_from(size).ok()?;
    let bytes = zstd::bulk::decompress(packed, capacity).ok()?;
    (bytes.len() == capacity).then_some(bytes)
}

/// Whether a part from the middle of a large blob gets smaller.
fn is_promising(bytes: &[u8]) -> bool {
    if bytes.len() <= 2 * SAMPLE_BYTES {
        return true;
    }
    let from = bytes.len() / 2;
    let sample = &bytes[from..from + SAMPLE_BYTES];
    zstd::bulk::compress(sample, LEVEL).is_ok_and(|packed| pays(packed.len(), sample.len()))
}

/// At least one eighth is saved.
fn pays(packed: usize, plain: usize) -> bool {
    packed < plain - plain / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: Vec<u8>) -> Frame {
        Frame::new(Digest::of(&bytes), bytes.into())
    }

    #[test]
    fn what_gets_smaller_is_compressed_and_opens_again() {
        let mut noise = vec![0; 100_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for (bytes, is_packed) in [
            (Vec::new(), false),
            (b"small".repeat(10), false),
            (b"text that repeats. ".repeat(1000), true),
            (noise, false),
        ] {
            let frame = frame(bytes.clone());
            assert_eq!(frame.packed.is_some(), is_packed, "{} bytes", bytes.len());
            assert_eq!(frame.size(), bytes.len() as u64);
            assert_eq!(frame.open().unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_frame_does_not_open() {
        let good = frame(b"text that repeats. ".repeat(1000));
        let broken = |change: &dyn Fn(&mut Frame)| {
            let mut frame = good.clone();
            change(&mut frame);
            frame.open()
        };
        let other = frame(b"another text. ".repeat(1000));
        let bad: [&dyn Fn(&mut Frame); 6] = [
            &|frame| frame.bytes.truncate(20),
            &|frame| frame.packed = Some(18_999),
            &|frame| frame.packed = Some(19_001),
            &|frame| frame.packed = Some(1 << 60),
            &|frame| frame.packed = None,
            &|frame| frame.bytes = other.bytes.clone(),
        ];
        for (number, change) in bad.into_iter().enumerate() {
            assert_eq!(broken(change), Err(BadFrame(good.digest)), "{number}");
        }
    }
}
