//! The directory node of the content tree.

use bytes::Bytes;
use prost::Message;

use super::{BadNode, Digest, Node, by_name, canonical, digest_field, field_of, only};

/// The permission bits a snapshot keeps: rwx of owner, group and others.
pub const BITS: u32 = 0o777;

/// The longest target of a symlink, in bytes (the system's limit on a path).
const MAX_TARGET_BYTES: usize = 4095;

/// One directory: its entries, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    entries: Vec<Entry>,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Any bytes but `/` and NUL, 1 to 255 of them, neither `.` nor `..`.
    pub name: Bytes,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File {
        /// Of its bytes; of the list of its chunks where [`crate::chunk::is_chunked`].
        digest: Digest,
        /// How many they are.
        size: u64,
        /// Permissions, within [`BITS`].
        bits: u32,
    },
    /// A directory.
    Directory {
        /// Of its node; `None` where it is empty.
        digest: Option<Digest>,
        /// Permissions, within [`BITS`].
        bits: u32,
    },
    /// A symlink, never followed.
    Symlink {
        /// Verbatim; it may lead nowhere.
        target: Bytes,
    },
}

impl Kind {
    /// Whether the two are the same at this very path: kind, bits, content or target. What lies
    /// below a directory does not count.
    pub fn is_same_here(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory { bits, .. }, Self::Directory { bits: others, .. }) => bits == others,
            _ => self == other,
        }
    }

    /// Where it is a directory: the digest of its node.
    pub fn directory(&self) -> Option<Option<Digest>> {
        match self {
            Self::Directory { digest, .. } => Some(*digest),
            Self::File { .. } | Self::Symlink { .. } => None,
        }
    }

    fn check(&self) -> Result<(), BadNode> {
        match self {
            Self::File { bits, .. } | Self::Directory { bits, .. } => {
                only(bits & !BITS == 0, "permission bits beyond rwx")
            }
            Self::Symlink { target } => only(
                (1..=MAX_TARGET_BYTES).contains(&target.len()) && !target.contains(&0),
                "a target no symlink can have",
            ),
        }
    }
}

impl Directory {
    /// A directory of these entries, in any order.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, BadNode> {
        by_name(&mut entries, |entry| &entry.name)?;
        entries.iter().try_for_each(|entry| entry.kind.check())?;
        Ok(Self { entries })
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What stands under `name`.
    pub fn get(&self, name: &[u8]) -> Option<&Kind> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        Some(&self.entries[at].kind)
    }
}

impl Node for Directory {
    fn parse(bytes: Bytes) -> Result<Self, BadNode> {
        let wire: wire::Directory = canonical(bytes)?;
        let is_sorted = wire.entries.is_sorted_by(|a, b| a.name < b.name);
        only(is_sorted, "the entries are not in order, or a name occurs twice")?;
        Self::new(wire.entries.into_iter().map(from_wire).collect::<Result<_, _>>()?)
    }

    fn encode(&self) -> Bytes {
        wire::Directory { entries: self.entries.iter().map(to_wire).collect() }
            .encode_to_vec()
            .into()
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn from_wire(entry: wire::Entry) -> Result<Entry, BadNode> {
    let kind = match entry.kind.ok_or(BadNode("an entry of an unknown kind"))? {
        wire::Kind::File(file) => Kind::File {
            digest: digest_field(&file.digest)?.ok_or(BadNode("a file without a digest"))?,
            size: file.size,
            bits: file.bits,
        },
        wire::Kind::Directory(directory) => {
            Kind::Directory { digest: digest_field(&directory.digest)?, bits: directory.bits }
        }
        wire::Kind::Symlink(symlink) => Kind::Symlink { target: symlink.target },
    };
    Ok(Entry { name: entry.name, kind })
}

fn to_wire(entry: &Entry) -> wire::Entry {
    let kind = match &entry.kind {
        Kind::File { digest, size, bits } => wire::Kind::File(wire::File {
            digest: field_of(Some(*digest)),
            size: *size,
            bits: *bits,
        }),
        Kind::Directory { digest, bits } => {
            wire::Kind::Directory(wire::Subdirectory { digest: field_of(*digest), bits: *bits })
        }
        Kind::Symlink { target } => wire::Kind::Symlink(wire::Symlink { target: target.clone() }),
    };
    wire::Entry { name: entry.name.clone(), kind: Some(kind) }
}

/// The messages. Numbers are never used twice.
mod wire {
    use bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Directory {
        #[prost(message, repeated, tag = "1")]
        pub(super) entries: Vec<Entry>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Entry {
        #[prost(bytes = "bytes", tag = "1")]
        pub(super) name: Bytes,
        #[prost(oneof = "Kind", tags = "2, 3, 4")]
        pub(super) kind: Option<Kind>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Kind {
        #[prost(message, tag = "2")]
        File(File),
        #[prost(message, tag = "3")]
        Directory(Subdirectory),
        #[prost(message, tag = "4")]
        Symlink(Symlink),
    }

    /// The digest of a large file is that of the list of its chunks (see [`crate::chunk`]).
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct File {
        #[prost(bytes = "bytes", tag = "1")]
        pub(super) digest: Bytes,
        #[prost(uint64, tag = "2")]
        pub(super) size: u64,
        #[prost(uint32, tag = "3")]
        pub(super) bits: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Subdirectory {
        #[prost(bytes = "bytes", tag = "1")]
        pub(super) digest: Bytes,
        #[prost(uint32, tag = "3")]
        pub(super) bits: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Symlink {
        #[prost(bytes = "bytes", tag = "1")]
        pub(super) target: Bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &'static [u8], bits: u32) -> Entry {
        let kind = Kind::File { digest: Digest::of(b"x"), size: 1, bits };
        Entry { name: Bytes::from_static(name), kind }
    }

    fn encoded(entries: Vec<Entry>) -> Bytes {
        Directory { entries }.encode()
    }

    #[test]
    fn a_directory_reads_back_as_it_was_written() {
        let directory = Directory::new(vec![
            file(b"\xff\xfe not utf-8", 0o755),
            Entry { name: "d".into(), kind: Kind::Directory { digest: None, bits: 0o700 } },
            Entry { name: "l".into(), kind: Kind::Symlink { target: "../nowhere".into() } },
        ])
        .unwrap();
        assert_eq!(Directory::parse(directory.encode()).unwrap(), directory);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let long: &'static [u8] = &[b'x'; 256];
        for name in [b"" as &[u8], b".", b"..", b"a/b", b"/", b"a\0", long] {
            assert!(Directory::parse(encoded(vec![file(name, 0o644)])).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_node_that_is_not_canonical_is_refused() {
        let unsorted = encoded(vec![file(b"b", 0o644), file(b"a", 0o644)]);
        let twice = encoded(vec![file(b"a", 0o644), file(b"a", 0o644)]);
        let bits = encoded(vec![file(b"a", 0o4755)]);
        let mut unknown_field = encoded(vec![file(b"a", 0o644)]).to_vec();
        unknown_field.extend([0x78, 0x01]);
        let no_kind = wire::Entry { name: "a".into(), kind: None };
        let no_kind = wire::Directory { entries: vec![no_kind] }.encode_to_vec();
        for bytes in [unsorted, twice, bits, unknown_field.into(), no_kind.into(), Bytes::new()] {
            assert!(Directory::parse(bytes.clone()).is_err(), "{bytes:?}");
        }
    }
}
