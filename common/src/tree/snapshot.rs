//! The three roots that make a snapshot.

use bytes::Bytes;
use prost::Message;

use super::{BadDigest, BadNode, Digest, canonical, digest_field, field_of};

/// An immutable tree of files, who wrote them, and when. `None` is the empty tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Snapshot {
    /// Root of the content tree.
    pub content: Option<Digest>,
    /// Root of the provenance tree.
    pub provenance: Option<Digest>,
    /// Root of the tree of modification times.
    pub times: Option<Digest>,
}

impl Snapshot {
    /// From the three fields of a message; empty bytes stand for the empty tree.
    pub fn from_fields(content: &[u8], provenance: &[u8], times: &[u8]) -> Result<Self, BadDigest> {
        let root = |field| digest_field(field).map_err(|_| BadDigest);
        Ok(Self { content: root(content)?, provenance: root(provenance)?, times: root(times)? })
    }

    /// The three fields of a message: content, provenance, times.
    pub fn to_fields(&self) -> [Vec<u8>; 3] {
        [self.content, self.provenance, self.times].map(|root| field_of(root).to_vec())
    }

    /// The blob that stands for the snapshot as a whole, so that one digest can name it. Even the
    /// empty snapshot has one (of no bytes).
    pub fn encode(&self) -> Bytes {
        let wire = Wire {
            content: field_of(self.content),
            provenance: field_of(self.provenance),
            times: field_of(self.times),
        };
        wire.encode_to_vec().into()
    }

    /// Reads what [`Snapshot::encode`] wrote, and nothing else.
    pub fn parse(bytes: Bytes) -> Result<Self, BadNode> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let wire: Wire = canonical(bytes)?;
        Ok(Self {
            content: digest_field(&wire.content)?,
            provenance: digest_field(&wire.provenance)?,
            times: digest_field(&wire.times)?,
        })
    }

    /// The digest that names the snapshot.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(bytes = "bytes", tag = "1")]
    content: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    provenance: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    times: Bytes,
}
