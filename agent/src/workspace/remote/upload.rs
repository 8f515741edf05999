//! What the store lacks, streamed to it.

use std::{
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use postq_common::{frame::Frame, tree::Digest};
use postq_proto::v1::{BlobBatch, BlobPiece, UploadRequest, WholeBlob, blob_piece::Piece};
use postq_runtime::crash;
use rayon::prelude::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    PIECES_AHEAD, Progress, Remote, STREAM_BLOBS, STREAM_BYTES, STREAMS, WorkspaceError, in_time,
    off,
};
use crate::workspace::{
    error::shown,
    folder::{Folder, stamp_of},
    listing::{Listing, What},
    scan::Source,
};

/// Read, compressed and sent at once: about so much is in one message.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_BLOBS: usize = 1000;

/// Blobs that can be sent.
pub(in super::super) struct Stock {
    /// Where files are.
    pub(in super::super) root: PathBuf,
    pub(in super::super) listing: Listing,
    /// Each once.
    pub(in super::super) blobs: Vec<(Digest, Part)>,
}

/// Where a blob's bytes are.
#[derive(Clone)]
pub(in super::super) enum Part {
    Memory(Bytes),
    File(Source),
}

/// What an upload took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Sent {
    /// Of the blobs that the store lacked.
    pub(in super::super) blobs: u64,
    pub(in super::super) bytes: u64,
    /// Of the contents that it had.
    pub(in super::super) saved_bytes: u64,
    /// As they travelled, without a coordinator.
    pub(in super::super) direct_bytes: u64,
}

impl Part {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(source) => source.size,
        }
    }
}

impl Remote {
    /// Sends what the store lacks of `stock`. All of it is durable there when this returns.
    pub(in super::super) async fn upload(&self, stock: Arc<Stock>) -> Result<Sent, WorkspaceError> {
        let missing = self.find_missing(&stock.blobs).await?;
        crash::point("upload.asked");
        let loads = loads(&stock, &missing);
        let mut sent = Sent { saved_bytes: saved(&stock, &missing), ..Sent::default() };
        for load in &loads {
            sent.blobs += load.len() as u64;
            sent.bytes += load.iter().map(|at| stock.blobs[*at].1.size()).sum::<u64>();
        }
        self.progress.all.fetch_add(sent.bytes, Ordering::Relaxed);
        let sending = stream::iter(loads).map(|load| {
            let stock = stock.clone();
            async move { self.send(stock, Arc::new(load)).await }
        });
        let direct = sending.buffer_unordered(STREAMS).try_fold(0, async |sum, it| Ok(sum + it));
        sent.direct_bytes = direct.await?;
        Ok(sent)
    }

    /// How many bytes went without a coordinator.
    async fn send(&self, stock: Arc<Stock>, load: Arc<Vec<usize>>) -> Result<u64, WorkspaceError> {
        const VERB: &str = "take files";
        if let Some(bytes) = self.put(&stock, &load).await? {
            return Ok(bytes);
        }
        let bytes = load.iter().map(|at| stock.blobs[*at].1.size()).sum();
        let attempt = || async {
            let (pieces, stream) = mpsc::channel(PIECES_AHEAD);
            let (stock, load) = (stock.clone(), load.clone());
            let progress = self.progress();
            let reader = off(move || feed(&stock, &load, &pieces, &progress));
            let mut client = self.client();
            let sent = in_time(VERB, bytes, client.upload(ReceiverStream::new(stream)));
            let (read, sent) = tokio::join!(reader, sent);
            // What cannot be read explains what was not taken.
            read?;
            sent?.map_err(WorkspaceError::remote(VERB))
        };
        self.persist(attempt).await.map(|_| 0)
    }
}

impl Stock {
    /// These blobs, compressed where it pays. Blocks.
    pub(super) fn read(&self, load: &[usize]) -> Result<Vec<WholeBlob>, WorkspaceError> {
        let root = Folder::open_root(&self.root);
        let name = self.root.as_os_str().as_encoded_bytes();
        let root = root.map_err(WorkspaceError::io("open", name))?;
        load.par_iter().map(|at| blob(&root, self, *at)).collect()
    }
}

/// What need not be sent of the contents that were read.
fn saved(stock: &Stock, missing: &[bool]) -> u64 {
    let known = stock.blobs.iter().zip(missing).filter(|(_, is_missing)| !**is_missing);
    let contents = known.filter(|((_, part), _)| matches!(part, Part::File(_)));
    contents.map(|((_, part), _)| part.size()).sum()
}

/// Streams of about so much each: the places of blobs in the stock.
fn loads(stock: &Stock, missing: &[bool]) -> Vec<Vec<usize>> {
    let (mut loads, mut bytes) = (Vec::<Vec<usize>>::new(), u64::MAX);
    for (at, (_, part)) in stock.blobs.iter().enumerate() {
        if !missing[at] {
            continue;
        }
        let fits = bytes < STREAM_BYTES && loads.last().is_some_and(|it| it.len() < STREAM_BLOBS);
        bytes = if fits { bytes } else { 0 } + part.size();
        match loads.last_mut().filter(|_| fits) {
            Some(load) => load.push(at),
            None => loads.push(vec![at]),
        }
    }
    loads
}

/// Reads all of `load`. Ends early, without an error, where nobody listens any more: the other
/// side knows why.
fn feed(
    stock: &Stock,
    load: &[usize],
    pieces: &mpsc::Sender<UploadRequest>,
    progress: &Progress,
) -> Result<(), WorkspaceError> {
    let name = stock.root.as_os_str().as_encoded_bytes();
    let root = Folder::open_root(&stock.root).map_err(WorkspaceError::io("open", name))?;
    let mut rest = load;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(BATCH_BLOBS).take_while(|at| {
            let is_room = bytes < BATCH_BYTES;
            bytes += if is_room { stock.blobs[**at].1.size() } else { 0 };
            is_room
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        let blobs = now.par_iter().map(|at| blob(&root, stock, *at)).collect::<Result<_, _>>()?;
        let piece = Some(Piece::Batch(BlobBatch { blobs }));
        let request = UploadRequest { piece: Some(BlobPiece { piece }) };
        if pieces.blocking_send(request).is_err() {
            return Ok(());
        }
        progress.done.fetch_add(bytes, Ordering::Relaxed);
    }
    Ok(())
}

fn blob(root: &Folder, stock: &Stock, at: usize) -> Result<WholeBlob, WorkspaceError> {
    let (digest, part) = &stock.blobs[at];
    let bytes = match part {
        Part::Memory(bytes) => bytes.clone(),
        Part::File(source) => read(root, stock, source)?,
    };
    let Frame { digest, bytes, packed } = Frame::new(*digest, bytes);
    let digest = Bytes::copy_from_slice(digest.as_bytes());
    Ok(WholeBlob { digest, content: bytes, size: packed })
}

/// A part of a file that has not changed since it was scanned.
fn read(root: &Folder, stock: &Stock, source: &Source) -> Result<Bytes, WorkspaceError> {
    let folder = &stock.listing.folders[source.folder as usize];
    let row = &folder.rows[source.row as usize];
    let path = folder.path_of(&row.name);
    let failed = || WorkspaceError::io("read", &path);
    let changed = || WorkspaceError::Changed { path: shown(&path) };
    let mut file = root.open_file_below(&path).map_err(failed())?;
    if source.offset > 0 {
        file.seek(SeekFrom::Start(source.offset)).map_err(failed())?;
    }
    // Not a slice to read into, because that would have to be filled with zeros first.
    let mut bytes = Vec::with_capacity(usize::try_from(source.size).map_err(|_| changed())?);
    let read = (&file).take(source.size).read_to_end(&mut bytes).map_err(failed())?;
    if read as u64 != source.size {
        return Err(changed());
    }
    let now = stamp_of(&file.metadata().map_err(failed())?);
    match row.what {
        What::File { stamp: Some(seen), .. } if seen != now => Err(changed()),
        _ => Ok(bytes.into()),
    }
}
