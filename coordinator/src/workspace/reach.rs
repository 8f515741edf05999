//! What a snapshot holds: its nodes, and the blobs that they name.

use std::collections::HashSet;

use bytes::Bytes;
use postq_common::{
    chunk::{ChunkList, is_chunked},
    provenance::{Below, Provenance},
    times::Times,
    tree::{BadNode, Digest, Directory, Kind, Node, Snapshot},
};

use super::{BlobError, Blobs};

/// Nodes and digests at a time.
const NODES: usize = 1000;
const DIGESTS: usize = 10_000;

/// A tree node that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tree {
    Content(Digest),
    Provenance(Digest),
    Times(Digest),
    Chunks(Digest),
}

/// Tree nodes that were found to be in the store with all below them.
#[derive(Default)]
pub struct Whole(HashSet<Tree>);

impl Blobs {
    /// Whether all that a snapshot holds is in the store, as far as that is known: nodes are read, of the
    /// rest it is asked where it is. What is `whole` is not looked at again.
    pub async fn is_whole(
        &self,
        snapshot: &Snapshot,
        whole: &mut Whole,
    ) -> Result<bool, BlobError> {
        let (mut open, mut leaves): (Vec<Tree>, _) = (Tree::roots(snapshot).collect(), Vec::new());
        let mut seen = HashSet::new();
        while !open.is_empty() {
            let some = open.split_off(open.len().saturating_sub(NODES));
            let is_new = |tree: &Tree| !whole.0.contains(tree) && seen.insert(*tree);
            let some: Vec<Tree> = some.into_iter().filter(is_new).collect();
            let nodes = match self.read_all(some.iter().map(Tree::digest).collect()).await {
                Ok(nodes) => nodes,
                Err(error @ BlobError::Store { .. }) => return Err(error),
                Err(_) => return Ok(false),
            };
            let nodes: std::collections::HashMap<Digest, Bytes> = nodes.into_iter().collect();
            for tree in some {
                let bytes = nodes.get(&tree.digest()).cloned().unwrap_or_default();
                if tree.below(bytes, &mut open, &mut leaves).is_err() {
                    return Ok(false);
                }
            }
        }
        for digests in leaves.chunks(DIGESTS) {
            if !self.find_missing(digests).await?.is_empty() {
                return Ok(false);
            }
        }
        whole.0.extend(seen);
        Ok(true)
    }
}

impl Tree {
    /// Those of a snapshot.
    pub(super) fn roots(of: &Snapshot) -> impl Iterator<Item = Self> {
        let content = of.content.map(Self::Content).into_iter();
        let provenance = of.provenance.map(Self::Provenance).into_iter();
        content.chain(provenance).chain(of.times.map(Self::Times))
    }

    pub(super) fn digest(&self) -> Digest {
        let (Self::Content(digest)
        | Self::Provenance(digest)
        | Self::Times(digest)
        | Self::Chunks(digest)) = self;
        *digest
    }

    /// What is directly below: nodes to be read, and blobs that hold no more digests.
    pub(super) fn below(
        self,
        bytes: Bytes,
        open: &mut Vec<Self>,
        leaves: &mut Vec<Digest>,
    ) -> Result<(), BadNode> {
        match self {
            Self::Content(_) => {
                for entry in Directory::parse(bytes)?.entries() {
                    match entry.kind {
                        Kind::File { digest, size, .. } if is_chunked(size) => {
                            open.push(Self::Chunks(digest));
                        }
                        Kind::File { digest, .. } => leaves.push(digest),
                        Kind::Directory { digest, .. } => open.extend(digest.map(Self::Content)),
                        Kind::Symlink { .. } => {}
                    }
                }
            }
            Self::Provenance(_) => {
                for entry in Provenance::parse(bytes)?.entries() {
                    if let Below::Node(Some(digest)) = entry.trace.below {
                        open.push(Self::Provenance(digest));
                    }
                }
            }
            Self::Times(_) => {
                let times = Times::parse(bytes)?;
                open.extend(times.entries().iter().filter_map(|time| time.below.map(Self::Times)));
            }
            Self::Chunks(_) => {
                leaves.extend(ChunkList::parse(bytes)?.chunks().iter().map(|chunk| chunk.digest));
            }
        }
        Ok(())
    }
}
