//! Nodes in memory, and how a pure algorithm asks for those it lacks.
//!
//! The algorithms over trees do no IO. Each is a function of the [`Nodes`] at hand: it either is
//! done or needs more nodes. The caller fetches those, all at once, and asks again; an algorithm
//! descends only where trees differ, so there are at most as many rounds as the trees are deep:
//!
//! ```text
//! loop { match merge(&mut nodes, &request)? {
//!     Step::Need(digests) => for digest in digests { nodes.insert(digest, fetch(digest))? },
//!     Step::Done(merged) => break merged,
//! } }
//! ```
//!
//! Invariant: what [`Nodes`] holds under a digest has that digest.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use super::{BadNode, Digest, Directory, Node};
use crate::{provenance::Provenance, times::Times};

/// How deep directories may be nested.
pub const MAX_DEPTH: usize = 256;

/// How many entries one walk may visit: a small tree can stand for more files than any disk holds.
pub const MAX_ENTRIES: usize = if cfg!(test) { 100_000 } else { 10_000_000 };

/// Why trees cannot be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The node with this digest is hostile or damaged.
    #[error("the tree node {digest} is invalid")]
    Bad {
        /// Of the node.
        digest: Digest,
        /// What is wrong with it.
        source: BadNode,
    },
    /// The bytes have another digest.
    #[error("the bytes given for the tree node {0} are damaged")]
    Damaged(Digest),
    /// A node that was built holds too much.
    #[error("a directory cannot be kept")]
    Unfit(#[from] BadNode),
    /// Directories are nested too deeply.
    #[error("directories are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// There are too many files.
    #[error("the trees hold more than {MAX_ENTRIES} entries")]
    TooLarge,
}

/// What an algorithm over trees came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It lacks the nodes with these digests.
    Need(Vec<Digest>),
    /// It is done.
    Done(T),
}

/// The nodes at hand.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    bytes: HashMap<Digest, Bytes>,
    pub(crate) directories: HashMap<Digest, Arc<Directory>>,
    pub(crate) provenance: HashMap<Digest, Arc<Provenance>>,
    pub(crate) times: HashMap<Digest, Arc<Times>>,
}

/// The kind of node decides where its parsed form is kept.
pub(crate) trait Kept: Node {
    fn kept(nodes: &mut Nodes) -> &mut HashMap<Digest, Arc<Self>>;
}

impl Kept for Directory {
    fn kept(nodes: &mut Nodes) -> &mut HashMap<Digest, Arc<Self>> {
        &mut nodes.directories
    }
}

impl Kept for Provenance {
    fn kept(nodes: &mut Nodes) -> &mut HashMap<Digest, Arc<Self>> {
        &mut nodes.provenance
    }
}

impl Kept for Times {
    fn kept(nodes: &mut Nodes) -> &mut HashMap<Digest, Arc<Self>> {
        &mut nodes.times
    }
}

impl Nodes {
    /// Adds a node that was fetched.
    pub fn insert(&mut self, digest: Digest, bytes: Bytes) -> Result<(), TreeError> {
        if Digest::of(&bytes) != digest {
            return Err(TreeError::Damaged(digest));
        }
        self.bytes.insert(digest, bytes);
        Ok(())
    }

    /// Whether the node is at hand.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.bytes.contains_key(digest)
    }
}

/// One run of an algorithm over the nodes at hand.
pub(crate) struct Pass<'n> {
    nodes: &'n mut Nodes,
    built: BTreeMap<Digest, Bytes>,
    missing: BTreeSet<Digest>,
    visited: usize,
}

/// Nodes that were made, to be stored.
pub(crate) type Built = Vec<(Digest, Bytes)>;

impl<'n> Pass<'n> {
    /// Runs `algorithm`; its result counts only if it lacked no node.
    pub(crate) fn run<T>(
        nodes: &'n mut Nodes,
        algorithm: impl FnOnce(&mut Self) -> Result<T, TreeError>,
    ) -> Result<Step<(T, Built)>, TreeError> {
        let mut pass = Self { nodes, built: BTreeMap::new(), missing: BTreeSet::new(), visited: 0 };
        let result = algorithm(&mut pass)?;
        if !pass.missing.is_empty() {
            return Ok(Step::Need(pass.missing.into_iter().collect()));
        }
        let known = &pass.nodes.bytes;
        let built = pass.built.into_iter().filter(|(digest, _)| !known.contains_key(digest));
        Ok(Step::Done((result, built.collect())))
    }

    /// The node under `digest`; `None` where it is missing, which is noted.
    pub(crate) fn get<N: Kept>(
        &mut self,
        digest: Option<Digest>,
    ) -> Result<Option<Arc<N>>, TreeError> {
        let Some(digest) = digest else { return Ok(Some(Arc::default())) };
        if let Some(node) = N::kept(self.nodes).get(&digest) {
            return Ok(Some(node.clone()));
        }
        let Some(bytes) = self.nodes.bytes.get(&digest).or_else(|| self.built.get(&digest)) else {
            self.missing.insert(digest);
            return Ok(None);
        };
        let node = N::parse(bytes.clone()).map_err(|source| TreeError::Bad { digest, source })?;
        let node = Arc::new(node);
        N::kept(self.nodes).insert(digest, node.clone());
        Ok(Some(node))
    }

    /// Adds a node that was made, and gives its digest.
    pub(crate) fn put<N: Node>(&mut self, node: &N) -> Result<Option<Digest>, BadNode> {
        let Some((digest, bytes)) = node.seal()? else { return Ok(None) };
        self.built.insert(digest, bytes);
        Ok(Some(digest))
    }

    /// Counts a visit of an entry at `depth`.
    pub(crate) fn visit(&mut self, depth: usize) -> Result<(), TreeError> {
        self.visited += 1;
        match () {
            () if depth > MAX_DEPTH => Err(TreeError::TooDeep),
            () if self.visited > MAX_ENTRIES => Err(TreeError::TooLarge),
            () => Ok(()),
        }
    }
}
