//! What a snapshot holds, read level by level and checked, before a file is made of it.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use postq_common::{
    chunk::{ChunkList, is_chunked},
    times::Times,
    tree::{
        BadNode, Digest, Directory, Entry, Kind, MAX_DEPTH, MAX_ENTRIES, Node, Snapshot, TreeError,
    },
};

use super::{
    error::WorkspaceError,
    listing::{Folded, Listing, Names, Row, What},
    remote::Remote,
    rules::Limits,
};

/// Folders read at once, with two nodes each.
const FOLDERS: usize = 500;

/// Lists of chunks read at once.
const LISTS: usize = 256;

/// Everything below a root.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) listing: Listing,
    /// The chunks of large files, by the digest of their list.
    pub(super) chunks: BTreeMap<Digest, ChunkList>,
    bytes: u64,
    entries: usize,
}

impl Plan {
    /// Reads the content and times trees of `snapshot`.
    pub(super) async fn read(
        remote: &Remote,
        snapshot: &Snapshot,
        limits: Limits,
    ) -> Result<Self, WorkspaceError> {
        let mut plan = Self::default();
        let (content, times) = (snapshot.content, snapshot.times);
        plan.listing.add(Folded { content, times, ..Folded::default() });
        let mut level = 0..1;
        for depth in 0.. {
            let folders = &plan.listing.folders[level.clone()];
            if folders.iter().all(|folder| (folder.content, folder.times) == (None, None)) {
                break;
            }
            if depth >= MAX_DEPTH {
                return Err(TreeError::TooDeep.into());
            }
            let next = plan.listing.folders.len();
            for from in level.clone().step_by(FOLDERS) {
                let some = from..level.end.min(from + FOLDERS);
                plan.add_some(remote, some, limits).await?;
            }
            level = next..plan.listing.folders.len();
            if !level.is_empty() && depth + 1 > limits.depth {
                let (what, limit) = ("levels of directories", limits.depth as u64);
                return Err(WorkspaceError::TooMuch { what, limit });
            }
        }
        Ok(plan)
    }

    /// Reads how large files are made of chunks.
    pub(super) async fn read_chunks(&mut self, remote: &Remote) -> Result<(), WorkspaceError> {
        let mut wanted: BTreeMap<Digest, u64> = BTreeMap::new();
        for row in self.listing.folders.iter().flat_map(|folder| &folder.rows) {
            if let What::File { size, digest: Some(digest), .. } = row.what
                && is_chunked(size)
                && wanted.insert(digest, size).is_some_and(|other| other != size)
            {
                return Err(WorkspaceError::Damaged(digest));
            }
        }
        let digests: Vec<Digest> = wanted.keys().copied().collect();
        for some in digests.chunks(LISTS) {
            for (digest, bytes) in remote.nodes(some.to_vec()).await? {
                let list = parse::<ChunkList>(Some(bytes), digest)?;
                let (said, found) = (wanted[&digest], list.size());
                if said != found {
                    return Err(WorkspaceError::WrongSize { digest, said, found });
                }
                self.chunks.insert(digest, list);
            }
        }
        Ok(())
    }

    async fn add_some(
        &mut self,
        remote: &Remote,
        some: Range<usize>,
        limits: Limits,
    ) -> Result<(), WorkspaceError> {
        let folders = &self.listing.folders[some.clone()];
        let roots = folders.iter().flat_map(|folder| [folder.content, folder.times]);
        let nodes = remote.nodes(roots.flatten().collect()).await?;
        for at in some {
            self.add(at, &nodes)?;
            self.check(limits)?;
        }
        Ok(())
    }

    fn add(&mut self, at: usize, nodes: &BTreeMap<Digest, Bytes>) -> Result<(), WorkspaceError> {
        let folder = &self.listing.folders[at];
        let get = |digest: Option<Digest>| digest.map(|digest| (nodes.get(&digest), digest));
        let content = get(folder.content).map(|(bytes, digest)| parse(bytes.cloned(), digest));
        let content: Directory = content.transpose()?.unwrap_or_default();
        let times = get(folder.times).map(|(bytes, digest)| parse(bytes.cloned(), digest));
        let times: Times = times.transpose()?.unwrap_or_default();
        let mut rows = Vec::with_capacity(content.entries().len());
        // What is taken out of a node as it is would hold all of the node in memory.
        let mut names = Names::default();
        content.entries().iter().for_each(|entry| names.add(&entry.name));
        for (name, Entry { kind, .. }) in names.share().into_iter().zip(content.entries()) {
            let time = times.get(&name);
            let what = match kind {
                Kind::File { digest, size, bits } => {
                    self.bytes = self.bytes.saturating_add(*size);
                    What::File { bits: *bits, size: *size, digest: Some(*digest), stamp: None }
                }
                Kind::Symlink { target } => {
                    What::Symlink { target: Bytes::copy_from_slice(target) }
                }
                Kind::Directory { digest, bits } => {
                    let path = self.listing.folders[at].path_of(&name);
                    let times = time.and_then(|time| time.below);
                    let below = Folded { path, content: *digest, times, rows: Vec::new() };
                    What::Folder { bits: *bits, at: self.listing.add(below) }
                }
            };
            rows.push(Row { name, what, mtime_ns: time.map(|time| time.mtime_ns) });
        }
        self.entries += rows.len();
        self.listing.folders[at].rows = rows;
        Ok(())
    }

    fn check(&self, limits: Limits) -> Result<(), WorkspaceError> {
        let too_much = |what, limit| Err(WorkspaceError::TooMuch { what, limit });
        if self.entries > MAX_ENTRIES {
            return Err(TreeError::TooLarge.into());
        }
        match () {
            () if self.entries > limits.entries => {
                too_much("files and directories", limits.entries as u64)
            }
            () if self.bytes > limits.bytes => too_much("bytes", limits.bytes),
            () => Ok(()),
        }
    }
}

fn parse<N: Node>(bytes: Option<Bytes>, digest: Digest) -> Result<N, WorkspaceError> {
    let bad = |source: BadNode| TreeError::Bad { digest, source };
    Ok(N::parse(bytes.unwrap_or_default()).map_err(bad)?)
}
