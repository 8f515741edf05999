//! The content tree of a workspace, and what all trees of a snapshot share.
//!
//! | file | owns |
//! |---|---|
//! | `digest` | the name of a blob |
//! | `content` | the directory node: names, kinds, permission bits, digests |
//! | `node` | the canonical encoding of nodes, and what is refused |
//! | `measure` | how much a content tree holds |
//! | `snapshot` | the three roots that make a snapshot |
//! | `nodes` | nodes in memory, and how an algorithm asks for those it lacks |
//!
//! A snapshot is three Merkle trees of the same shape: content (here), provenance
//! ([`crate::provenance`]) and modification times ([`crate::times`]). A node is one directory; the
//! empty tree has no node and no digest.

mod content;
mod digest;
mod measure;
mod node;
mod nodes;
mod snapshot;

pub use content::{BITS, Directory, Entry, Kind};
pub use digest::{BadDigest, Digest};
pub use measure::{Measure, measure};
pub use node::{BadNode, MAX_NODE_BYTES, Node};
pub(crate) use node::{by_name, canonical, digest_field, field_of, only};
pub(crate) use nodes::Pass;
pub use nodes::{MAX_DEPTH, MAX_ENTRIES, Nodes, Step, TreeError};
pub use snapshot::Snapshot;
