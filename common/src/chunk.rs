//! Large files in pieces.
//!
//! | file | owns |
//! |---|---|
//! | `cut` | where a large file is cut: by its content, so that an insertion moves few cuts |
//! | `list` | the node that names the pieces in order |
//!
//! A file of at most [`MAX_WHOLE_BYTES`] is one blob, named by the digest of its bytes. A larger one
//! is named by the digest of the list of its chunks. The size alone tells which, so that one content
//! has one name.

mod cut;
mod list;

pub use cut::{MAX_CHUNK_BYTES, cut};
pub use list::{Chunk, ChunkList};

/// Files up to this size are one blob.
pub const MAX_WHOLE_BYTES: u64 = 2 << 20;

/// Whether a file of this size is named by the list of its chunks.
pub fn is_chunked(size: u64) -> bool {
    size > MAX_WHOLE_BYTES
}
