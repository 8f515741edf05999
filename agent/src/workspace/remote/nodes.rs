//! Tree nodes, and those remembered: the tasks of a job share most of their trees.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use postq_common::tree::{Digest, MAX_NODE_BYTES};
use postq_proto::v1::{DownloadRequest, blob_piece::Piece};

use super::{Remote, WorkspaceError, in_time};

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
            for (digest, bytes) in self.persist(|| self.fetch(digests)).await? {
                self.memory.keep(digest, bytes.clone());
                nodes.insert(digest, bytes);
            }
        }
        Ok(nodes)
    }

    async fn fetch(&self, digests: &[Digest]) -> Result<Vec<(Digest, Bytes)>, WorkspaceError> {
        const VERB: &str = "send directories";
        let failed = || WorkspaceError::remote(VERB);
        let request = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let mut client = self.client();
        let answer = client.download(DownloadRequest { digests: request });
        let mut stream = in_time(VERB, 0, answer).await?.map_err(failed())?.into_inner();
        let mut fetched: Vec<(Digest, BytesMut)> = Vec::with_capacity(digests.len());
        while let Some(message) = in_time(VERB, 0, stream.message()).await?.map_err(failed())? {
            match message.piece.and_then(|piece| piece.piece) {
                Some(Piece::Start(start)) => {
                    fetched.push((Digest::try_from(&start.digest[..])?, BytesMut::new()));
                }
                Some(Piece::Data(data)) => {
                    let Some((digest, bytes)) = fetched.last_mut() else {
                        return Err(WorkspaceError::Protocol("data outside of a blob"));
                    };
                    if bytes.len() + data.len() > MAX_NODE_BYTES {
                        return Err(WorkspaceError::Damaged(*digest));
                    }
                    bytes.extend_from_slice(&data);
                }
                None => return Err(WorkspaceError::Protocol("a message without a piece")),
            }
        }
        let fetched: BTreeMap<Digest, BytesMut> = fetched.into_iter().collect();
        digests.iter().map(|digest| checked(*digest, &fetched)).collect()
    }
}

fn checked(
    digest: Digest,
    fetched: &BTreeMap<Digest, BytesMut>,
) -> Result<(Digest, Bytes), WorkspaceError> {
    let Some(bytes) = fetched.get(&digest) else {
        return Err(WorkspaceError::Protocol("a blob is missing without a word"));
    };
    if Digest::of(bytes) != digest {
        return Err(WorkspaceError::Damaged(digest));
    }
    Ok((digest, bytes.clone().freeze()))
}
