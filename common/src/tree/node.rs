//! The canonical encoding of tree nodes: one tree has one encoding, and a node from elsewhere is
//! refused unless it is exactly that.
//!
//! Nodes are protobuf messages. Fields may be added later: a reader that does not know them
//! refuses the node instead of losing them.

use bytes::Bytes;
use prost::Message;

use super::Digest;

/// The largest encoding of one node, in bytes: about 300,000 entries in one directory.
pub const MAX_NODE_BYTES: usize = 32 << 20;

/// The longest name of an entry, in bytes.
const MAX_NAME_BYTES: usize = 255;

const TOO_MANY: &str = "too many entries in one directory";

/// A node that is not canonical, or that no honest writer makes; says what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadNode(pub(crate) &'static str);

/// A node of one of the three trees.
pub trait Node: Clone + Default + Send + Sync + 'static {
    /// Reads a node, refusing all but the canonical encoding of a sane one.
    fn parse(bytes: Bytes) -> Result<Self, BadNode>;

    /// The canonical encoding.
    fn encode(&self) -> Bytes;

    /// Whether it has no entry. Such a node has no digest and is never stored.
    fn is_empty(&self) -> bool;

    /// Its digest and encoding; `None` for the empty node. Refused where it is too large.
    fn seal(&self) -> Result<Option<(Digest, Bytes)>, BadNode> {
        if self.is_empty() {
            return Ok(None);
        }
        let bytes = self.encode();
        only(bytes.len() <= MAX_NODE_BYTES, TOO_MANY)?;
        Ok(Some((Digest::of(&bytes), bytes)))
    }
}

/// Decodes `M` from its canonical encoding.
pub(crate) fn canonical<M: Message + Default>(bytes: Bytes) -> Result<M, BadNode> {
    only(!bytes.is_empty(), "an empty node has no encoding")?;
    only(bytes.len() <= MAX_NODE_BYTES, TOO_MANY)?;
    let message = M::decode(bytes.clone()).map_err(|_| BadNode("not a node"))?;
    only(message.encode_to_vec() == bytes, "not the canonical encoding")?;
    Ok(message)
}

/// Sorts `entries` by name and checks the names: each once, and one that a directory can hold.
pub(crate) fn by_name<E>(entries: &mut [E], name: impl Fn(&E) -> &Bytes) -> Result<(), BadNode> {
    entries.sort_by(|a, b| name(a).cmp(name(b)));
    only(entries.iter().all(|entry| is_name(name(entry))), "a name no file can have")?;
    only(entries.windows(2).all(|two| name(&two[0]) != name(&two[1])), "a name occurs twice")
}

/// `Ok` only where `fact` holds.
pub(crate) fn only(fact: bool, otherwise: &'static str) -> Result<(), BadNode> {
    if fact { Ok(()) } else { Err(BadNode(otherwise)) }
}

/// The digest in a field; empty bytes stand for the empty tree.
pub(crate) fn digest_field(field: &[u8]) -> Result<Option<Digest>, BadNode> {
    if field.is_empty() {
        return Ok(None);
    }
    Digest::try_from(field).map(Some).map_err(|_| BadNode("a digest is not 32 bytes"))
}

/// The field for a digest.
pub(crate) fn field_of(digest: Option<Digest>) -> Bytes {
    digest.map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(digest.as_bytes()))
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= MAX_NAME_BYTES
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
