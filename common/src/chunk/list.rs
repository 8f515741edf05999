//! The node that names the chunks of a large file, in order.

use bytes::Bytes;
use prost::Message;

use super::MAX_CHUNK_BYTES;
use crate::tree::{BadNode, Digest, Node, canonical, digest_field, field_of, only};

/// The chunks of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkList {
    chunks: Vec<Chunk>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

impl ChunkList {
    /// A file of these chunks.
    pub fn new(chunks: Vec<Chunk>) -> Result<Self, BadNode> {
        let is_sane = |chunk: &Chunk| (1..=MAX_CHUNK_BYTES as u64).contains(&chunk.size);
        only(chunks.iter().all(is_sane), "a chunk of a size that none has")?;
        Ok(Self { chunks })
    }

    /// In the order of the file.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// How long the file is.
    pub fn size(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.size).sum()
    }
}

impl Node for ChunkList {
    fn parse(bytes: Bytes) -> Result<Self, BadNode> {
        let wire: Wire = canonical(bytes)?;
        let read = |chunk: WireChunk| -> Result<Chunk, BadNode> {
            let digest = digest_field(&chunk.digest)?.ok_or(BadNode("a chunk without a digest"))?;
            Ok(Chunk { digest, size: chunk.size })
        };
        Self::new(wire.chunks.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    fn encode(&self) -> Bytes {
        let write =
            |chunk: &Chunk| WireChunk { digest: field_of(Some(chunk.digest)), size: chunk.size };
        Wire { chunks: self.chunks.iter().map(write).collect() }.encode_to_vec().into()
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(message, repeated, tag = "1")]
    chunks: Vec<WireChunk>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireChunk {
    #[prost(bytes = "bytes", tag = "1")]
    digest: Bytes,
    #[prost(uint64, tag = "2")]
    size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_was_written_and_an_odd_chunk_is_refused() {
        let chunk = |size| Chunk { digest: Digest::of(b"x"), size };
        let list = ChunkList::new(vec![chunk(1), chunk(2 << 20)]).unwrap();
        assert_eq!(ChunkList::parse(list.encode()).unwrap(), list);
        assert_eq!(list.size(), (2 << 20) + 1);
        for size in [0, (2 << 20) + 1] {
            let odd = ChunkList { chunks: vec![chunk(size)] };
            assert!(ChunkList::parse(odd.encode()).is_err(), "{size}");
        }
    }
}
