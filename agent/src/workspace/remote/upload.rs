//! What the store lacks, streamed to it.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use postq_common::tree::Digest;
use postq_proto::v1::{BlobPiece, BlobStart, UploadRequest, blob_piece::Piece};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{PIECE_BYTES, PIECES_AHEAD, Remote, WorkspaceError, in_time, off};
use crate::workspace::{error::shown, folder::Folder};

/// One stream carries about so much, so that little is sent again when it breaks.
const STREAM_BYTES: u64 = 64 << 20;
const STREAM_BLOBS: usize = 1000;

/// Blobs that can be sent.
pub(in super::super) struct Stock {
    /// What the paths of files are relative to.
    pub(in super::super) root: PathBuf,
    pub(in super::super) blobs: BTreeMap<Digest, Part>,
}

/// Where a blob's bytes are.
#[derive(Clone)]
pub(in super::super) enum Part {
    Memory(Bytes),
    File { path: Vec<u8>, size: u64 },
}

impl Part {
    fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }
}

impl Remote {
    /// Sends what the store lacks of `stock`. All of it is durable there when this returns.
    pub(in super::super) async fn upload(&self, stock: &Stock) -> Result<(), WorkspaceError> {
        let digests: Vec<Digest> = stock.blobs.keys().copied().collect();
        let mut missing = self.find_missing(&digests).await?;
        missing.sort_unstable();
        missing.dedup();
        let (mut load, mut bytes) = (Vec::new(), 0);
        for digest in missing {
            let Some(part) = stock.blobs.get(&digest) else {
                return Err(WorkspaceError::Protocol("it lacks what it was not asked about"));
            };
            bytes += part.size();
            load.push((digest, part.clone()));
            if bytes >= STREAM_BYTES || load.len() >= STREAM_BLOBS {
                self.send(&stock.root, std::mem::take(&mut load)).await?;
                bytes = 0;
            }
        }
        if load.is_empty() { Ok(()) } else { self.send(&stock.root, load).await }
    }

    async fn send(&self, root: &Path, load: Vec<(Digest, Part)>) -> Result<(), WorkspaceError> {
        const VERB: &str = "take files";
        let bytes = load.iter().map(|(_, part)| part.size()).sum();
        let attempt = async || {
            let (pieces, stream) = mpsc::channel(PIECES_AHEAD);
            let (root, load) = (root.to_owned(), load.clone());
            let reader = off(move || feed(&root, &load, &pieces));
            let mut client = self.client();
            let sent = in_time(VERB, bytes, client.upload(ReceiverStream::new(stream)));
            let (read, sent) = tokio::join!(reader, sent);
            // What cannot be read explains what was not taken.
            read?;
            sent?.map_err(WorkspaceError::remote(VERB))
        };
        self.persist(attempt).await.map(drop)
    }
}

/// Reads all of `load`. Ends early, without an error, where nobody listens any more: the other
/// side knows why.
fn feed(
    root: &Path,
    load: &[(Digest, Part)],
    pieces: &mpsc::Sender<UploadRequest>,
) -> Result<(), WorkspaceError> {
    let root = Folder::open_root(root)
        .map_err(WorkspaceError::io("open", root.as_os_str().as_encoded_bytes()))?;
    let send = |piece| {
        let request = UploadRequest { piece: Some(BlobPiece { piece: Some(piece) }) };
        pieces.blocking_send(request).is_ok()
    };
    for (digest, part) in load {
        let start = BlobStart { digest: digest.as_bytes().to_vec(), size: part.size() };
        if !send(Piece::Start(start)) {
            return Ok(());
        }
        let is_heard = match part {
            Part::Memory(bytes) => feed_bytes(bytes.clone(), &send),
            Part::File { path, size } => feed_file(&root, path, *size, *digest, &send)?,
        };
        if !is_heard {
            return Ok(());
        }
    }
    Ok(())
}

fn feed_bytes(mut bytes: Bytes, send: &impl Fn(Piece) -> bool) -> bool {
    while !bytes.is_empty() {
        if !send(Piece::Data(bytes.split_to(bytes.len().min(PIECE_BYTES)))) {
            return false;
        }
    }
    true
}

fn feed_file(
    root: &Folder,
    path: &[u8],
    size: u64,
    digest: Digest,
    send: &impl Fn(Piece) -> bool,
) -> Result<bool, WorkspaceError> {
    let failed = || WorkspaceError::io("read", path);
    let (folder, name) = root.open_parent(path).map_err(failed())?;
    let mut file = folder.open_file(name).map_err(failed())?.take(size);
    let mut hasher = blake3::Hasher::new();
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        if read.map_err(failed())? == 0 {
            break;
        }
        hasher.update(&piece);
        let is_last = hasher.count() == size;
        if is_last && Digest::from(hasher.finalize()) != digest {
            break;
        }
        if !send(Piece::Data(piece.into())) {
            return Ok(false);
        }
        if is_last {
            return Ok(true);
        }
    }
    if size == 0 { Ok(true) } else { Err(WorkspaceError::Changed { path: shown(path) }) }
}
