//! Chunks of one attempt's output as they are in one blob: what `ReadLogs` tells of each, one after the other.

use bytes::{Buf, Bytes, BytesMut};
use postq_proto::v1::ReadLogsResponse;
use prost::Message;

use crate::store::Chunk;

/// The blob of these chunks. It names the attempt, so that it is the blob of no other output.
pub fn to_blob(attempt: i64, chunks: Vec<Chunk>) -> Bytes {
    let mut blob = BytesMut::new();
    for Chunk { number, stream, data } in chunks {
        let (data, stream) = (data.into(), i32::from(stream));
        let chunk = ReadLogsResponse { task: String::new(), attempt, number, stream, data };
        chunk.encode_length_delimited(&mut blob).expect("invariant: a buffer that grows has room");
    }
    blob.freeze()
}

/// The chunks in a blob; none where it is something else, or of another attempt.
pub fn from_blob(attempt: i64, mut blob: Bytes) -> Option<Vec<Chunk>> {
    let mut chunks = Vec::new();
    while blob.has_remaining() {
        let chunk = ReadLogsResponse::decode_length_delimited(&mut blob).ok()?;
        let stream = i16::try_from(chunk.stream).ok().filter(|_| chunk.attempt == attempt)?;
        chunks.push(Chunk { number: chunk.number, stream, data: chunk.data.into() });
    }
    Some(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_same_again_and_nothing_else_is_taken_for_them() {
        let chunk = |number, stream, data: &[u8]| Chunk { number, stream, data: data.to_vec() };
        let chunks = vec![chunk(3, 1, b"\xff\0x"), chunk(4, 2, b"text"), chunk(6, 3, b"")];
        let blob = to_blob(7, chunks.clone());
        assert_eq!(from_blob(7, blob.clone()), Some(chunks));
        assert_eq!(from_blob(8, blob.clone()), None);
        assert_eq!(from_blob(7, blob.slice(..blob.len() - 1)), None);
        assert_eq!(from_blob(7, Bytes::from_static(b"something else")), None);
    }
}
