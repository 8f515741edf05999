//! The tree of modification times: beside the content tree and of its shape, so that touching a
//! file changes no content digest.

use bytes::Bytes;
use prost::Message;

use crate::tree::{BadNode, Digest, Node, by_name, canonical, digest_field, field_of, only};

/// The modification times of one directory's entries, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    entries: Vec<Time>,
}

/// The modification time of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// As in the content tree.
    pub name: Bytes,
    /// Nanoseconds since 1970, UTC.
    pub mtime_ns: i64,
    /// Where it is a directory that is not empty: of its times node.
    pub below: Option<Digest>,
}

impl Times {
    /// The times of these entries, in any order.
    pub fn new(mut entries: Vec<Time>) -> Result<Self, BadNode> {
        by_name(&mut entries, |entry| &entry.name)?;
        Ok(Self { entries })
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Time] {
        &self.entries
    }

    /// The time of the entry `name`, if it is known.
    pub fn get(&self, name: &[u8]) -> Option<&Time> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        Some(&self.entries[at])
    }
}

impl Node for Times {
    fn parse(bytes: Bytes) -> Result<Self, BadNode> {
        let wire: Wire = canonical(bytes)?;
        let is_sorted = wire.entries.is_sorted_by(|a, b| a.name < b.name);
        only(is_sorted, "the entries are not in order, or a name occurs twice")?;
        let read = |entry: WireTime| -> Result<Time, BadNode> {
            let below = digest_field(&entry.below)?;
            Ok(Time { name: entry.name, mtime_ns: entry.mtime_ns, below })
        };
        Self::new(wire.entries.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    fn encode(&self) -> Bytes {
        let write = |entry: &Time| WireTime {
            name: entry.name.clone(),
            mtime_ns: entry.mtime_ns,
            below: field_of(entry.below),
        };
        Wire { entries: self.entries.iter().map(write).collect() }.encode_to_vec().into()
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<WireTime>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireTime {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(sint64, tag = "2")]
    mtime_ns: i64,
    #[prost(bytes = "bytes", tag = "3")]
    below: Bytes,
}
