//! What a snapshot holds, read level by level and checked, before a file is made of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use postq_common::{
    times::Times,
    tree::{Digest, Directory, Entry, Kind, MAX_DEPTH, MAX_ENTRIES, Node, Snapshot, TreeError},
};

use super::{error::WorkspaceError, remote::Remote};

/// Everything below a root. Parents stand before what is in them.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) entries: Vec<Planned>,
}

/// One path.
#[derive(Clone)]
pub(super) struct Planned {
    /// From the root, without a leading slash.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    /// Where the snapshot knows it.
    pub(super) mtime_ns: Option<i64>,
}

/// A directory whose entries are not read yet.
struct Unread {
    path: Vec<u8>,
    content: Option<Digest>,
    times: Option<Digest>,
}

impl Plan {
    /// Reads the content and times trees of `snapshot`.
    pub(super) async fn read(remote: &Remote, snapshot: &Snapshot) -> Result<Self, WorkspaceError> {
        let root = Unread { path: Vec::new(), content: snapshot.content, times: snapshot.times };
        let mut plan = Self::default();
        let mut level = vec![root];
        for depth in 0.. {
            level.retain(|unread| unread.content.is_some());
            if level.is_empty() {
                break;
            }
            if depth >= MAX_DEPTH {
                return Err(TreeError::TooDeep.into());
            }
            let roots = level.iter().flat_map(|unread| [unread.content, unread.times]);
            let nodes = remote.nodes(roots.flatten().collect()).await?;
            let mut next = Vec::new();
            for unread in level {
                next.extend(plan.add(&unread, &nodes)?);
            }
            level = next;
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        unread: &Unread,
        nodes: &BTreeMap<Digest, Bytes>,
    ) -> Result<Vec<Unread>, WorkspaceError> {
        let content: Directory = parse(nodes, unread.content)?;
        let times: Times = parse(nodes, unread.times)?;
        if self.entries.len() + content.entries().len() > MAX_ENTRIES {
            return Err(TreeError::TooLarge.into());
        }
        let mut below = Vec::new();
        for Entry { name, kind } in content.entries() {
            let mut path = unread.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let time = times.get(name);
            if let Some(content) = kind.directory() {
                let times = time.and_then(|time| time.below);
                below.push(Unread { path: path.clone(), content, times });
            }
            let mtime_ns = time.map(|time| time.mtime_ns);
            self.entries.push(Planned { path, kind: kind.clone(), mtime_ns });
        }
        Ok(below)
    }
}

fn parse<N: Node>(
    nodes: &BTreeMap<Digest, Bytes>,
    digest: Option<Digest>,
) -> Result<N, WorkspaceError> {
    let Some(digest) = digest else { return Ok(N::default()) };
    let bytes = nodes.get(&digest).cloned().unwrap_or_default();
    N::parse(bytes).map_err(|source| TreeError::Bad { digest, source }.into())
}
