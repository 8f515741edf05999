//! Tree nodes, and those remembered: the tasks of a job share most of their trees.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use postq_common::{frame::Frame, tree::Digest};
use tokio::sync::mpsc;

use super::{PIECES_AHEAD, Remote, Verify, WorkspaceError, download::open, off};

/// Nodes per request.
const REQUEST: usize = 1000;

/// What is remembered, in bytes.
const REMEMBERED_BYTES: usize = 64 << 20;

/// Nodes by digest; all are forgotten when they are too many.
#[derive(Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    nodes: HashMap<Digest, Bytes>,
    bytes: usize,
}

impl Memory {
    fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).nodes.get(digest).cloned()
    }

    fn keep(&self, digest: Digest, bytes: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes > REMEMBERED_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += bytes.len();
        kept.nodes.insert(digest, bytes);
    }
}

impl Remote {
    /// The nodes under `digests`, verified.
    pub(in super::super) async fn nodes(
        &self,
        digests: Vec<Digest>,
    ) -> Result<BTreeMap<Digest, Bytes>, WorkspaceError> {
        let mut nodes = BTreeMap::new();
        let mut wanted = Vec::new();
        for digest in digests {
            match self.memory.get(&digest) {
                Some(bytes) => drop(nodes.insert(digest, bytes)),
                None => wanted.push(digest),
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for digests in wanted.chunks(REQUEST) {
            for (digest, bytes) in
                self.persist_verified(|verify| self.fetch(digests, verify)).await?
            {
                self.memory.keep(digest, bytes.clone());
                nodes.insert(digest, bytes);
            }
        }
        Ok(nodes)
    }

    /// Blobs that are not remembered, in the order of `digests`, verified.
    pub(in super::super) async fn contents(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<Bytes>, WorkspaceError> {
        let fetched = self.persist_verified(|verify| self.fetch(digests, verify)).await?;
        Ok(fetched.into_iter().map(|(_, bytes)| bytes).collect())
    }

    async fn fetch(
        &self,
        digests: &[Digest],
        verify: Verify,
    ) -> Result<Vec<(Digest, Bytes)>, WorkspaceError> {
        let (frames, mut received) = mpsc::channel::<Vec<Frame>>(PIECES_AHEAD);
        let collect = async {
            let mut fetched = HashMap::with_capacity(digests.len());
            while let Some(frames) = received.recv().await {
                fetched.extend(off(move || open(frames)).await?);
            }
            Ok::<_, WorkspaceError>(fetched)
        };
        let (heard, fetched) = tokio::join!(self.receive(digests, verify, frames), collect);
        let (fetched, _) = (fetched?, heard?);
        let one = |digest: &Digest| match fetched.get(digest) {
            Some(bytes) => Ok((*digest, bytes.clone())),
            None => Err(WorkspaceError::Protocol("a blob is missing without a word")),
        };
        digests.iter().map(one).collect()
    }
}
