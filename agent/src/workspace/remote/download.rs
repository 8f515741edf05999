//! Contents, streamed into a checkout.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use postq_common::{
    frame::{Frame, MAX_BLOB_BYTES},
    tree::Digest,
};
use postq_proto::v1::{BlobPiece, BlobStart, DownloadRequest, WholeBlob, blob_piece::Piece};
use tokio::sync::mpsc;

use super::{
    PIECES_AHEAD, Remote, STREAM_BLOBS, STREAM_BYTES, STREAMS, Verify, WorkspaceError, in_time, off,
};
use crate::workspace::checkout::Checkout;

impl Remote {
    /// Fetches all that `checkout` waits for.
    pub(in super::super) async fn fill(
        &self,
        checkout: Arc<Checkout>,
    ) -> Result<Came, WorkspaceError> {
        let requests = stream::iter(requests(checkout.wanted()));
        let filled = requests.map(|request| {
            let checkout = checkout.clone();
            async move { self.fill_some(checkout, &request).await }
        });
        filled.buffer_unordered(STREAMS).try_fold(Came::default(), async |a, b| Ok(a + b)).await
    }

    /// Fetches some contents; after a break, those that have not arrived.
    async fn fill_some(
        &self,
        checkout: Arc<Checkout>,
        (request, size): &(Vec<Digest>, u64),
    ) -> Result<Came, WorkspaceError> {
        let attempt = |verify| {
            let checkout = checkout.clone();
            async move {
                let still = request.iter().filter(|digest| checkout.wants(digest)).copied();
                let still: Vec<Digest> = still.collect();
                match still.is_empty() {
                    true => Ok(Came::default()),
                    false => self.stream(checkout, (&still, *size), verify).await,
                }
            }
        };
        self.persist_verified(attempt).await
    }

    async fn stream(
        &self,
        checkout: Arc<Checkout>,
        (request, size): (&[Digest], u64),
        verify: Verify,
    ) -> Result<Came, WorkspaceError> {
        let (frames, mut received) = mpsc::channel::<Vec<Frame>>(PIECES_AHEAD);
        let writing = checkout.clone();
        let writer = off(move || {
            while let Some(frames) = received.blocking_recv() {
                writing.take(open(frames)?)?;
            }
            Ok::<_, WorkspaceError>(())
        });
        let reader = async {
            let (got, direct_bytes) = self.get(request, size, &frames).await;
            let rest: Vec<Digest> =
                request.iter().filter(|digest| !got.contains(digest)).copied().collect();
            let bytes = match rest.is_empty() {
                // The writer ends with the last sender.
                true => {
                    drop(frames);
                    0
                }
                false => self.receive(&rest, verify, frames).await?,
            };
            Ok::<_, WorkspaceError>(Came { bytes: bytes + direct_bytes, direct_bytes })
        };
        let (heard, written) = tokio::join!(reader, writer);
        written?;
        let came = heard?;
        match request.iter().any(|digest| checkout.wants(digest)) {
            true => Err(WorkspaceError::Protocol("a blob is missing without a word")),
            false => Ok(came),
        }
    }

    /// Asks for blobs and passes on what comes; how many bytes it was.
    pub(super) async fn receive(
        &self,
        request: &[Digest],
        verify: Verify,
        frames: mpsc::Sender<Vec<Frame>>,
    ) -> Result<u64, WorkspaceError> {
        const VERB: &str = "send files";
        let failed = || WorkspaceError::remote(VERB);
        let digests = request.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let mut client = self.client();
        let verify = verify == Verify::ThereToo;
        let answer = client.download(DownloadRequest { digests, batches: true, verify });
        let mut stream = in_time(VERB, 0, answer).await?.map_err(failed())?.into_inner();
        let (mut current, mut bytes) = (None, 0);
        while let Some(message) = in_time(VERB, 0, stream.message()).await?.map_err(failed())? {
            let Some(BlobPiece { piece: Some(piece) }) = message.piece else {
                return Err(WorkspaceError::Protocol("a message without a piece"));
            };
            let whole = whole(piece, &mut current)?;
            bytes += whole.iter().map(|frame| frame.bytes.len() as u64).sum::<u64>();
            if !whole.is_empty() && frames.send(whole).await.is_err() {
                // The other side knows why.
                return Ok(bytes);
            }
        }
        Ok(bytes)
    }
}

/// What came, as it travelled.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Came {
    pub(in super::super) bytes: u64,
    /// Of that, what came without a coordinator.
    pub(in super::super) direct_bytes: u64,
}

impl std::ops::Add for Came {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            direct_bytes: self.direct_bytes + other.direct_bytes,
        }
    }
}

/// Requests of about so much each, with how much that is.
fn requests(wanted: impl Iterator<Item = (Digest, u64)>) -> Vec<(Vec<Digest>, u64)> {
    let mut requests = Vec::<(Vec<Digest>, u64)>::new();
    for (digest, size) in wanted {
        let fits = |it: &&mut (Vec<Digest>, u64)| it.1 < STREAM_BYTES && it.0.len() < STREAM_BLOBS;
        match requests.last_mut().filter(fits) {
            Some((request, bytes)) => {
                request.push(digest);
                *bytes += size;
            }
            None => requests.push((vec![digest], size)),
        }
    }
    requests
}

/// A blob of which a part has come.
pub(super) struct Current {
    digest: Digest,
    size: u64,
    bytes: BytesMut,
}

/// The blobs that are whole after this piece.
fn whole(piece: Piece, current: &mut Option<Current>) -> Result<Vec<Frame>, WorkspaceError> {
    match piece {
        Piece::Batch(batch) => batch.blobs.into_iter().map(frame).collect(),
        Piece::Start(BlobStart { digest, size }) => {
            if current.is_some() {
                return Err(WorkspaceError::Protocol("a blob began within another"));
            }
            let digest = Digest::try_from(&digest[..])?;
            if size > MAX_BLOB_BYTES {
                return Err(WorkspaceError::Damaged(digest));
            }
            *current = Some(Current { digest, size, bytes: BytesMut::new() });
            Ok(finished(current))
        }
        Piece::Data(data) => {
            let Some(open) = current else {
                return Err(WorkspaceError::Protocol("data outside of a blob"));
            };
            open.bytes.extend_from_slice(&data);
            if open.bytes.len() as u64 > open.size {
                return Err(WorkspaceError::Damaged(open.digest));
            }
            Ok(finished(current))
        }
    }
}

fn finished(current: &mut Option<Current>) -> Vec<Frame> {
    let whole = current.take_if(|open| open.bytes.len() as u64 == open.size);
    whole
        .map(|Current { digest, bytes, .. }| Frame::plain(digest, bytes.freeze()))
        .into_iter()
        .collect()
}

fn frame(blob: WholeBlob) -> Result<Frame, WorkspaceError> {
    let WholeBlob { digest, content, size } = blob;
    Ok(Frame { digest: Digest::try_from(&digest[..])?, bytes: content, packed: size })
}

/// The contents of frames, verified.
pub(super) fn open(frames: Vec<Frame>) -> Result<Vec<(Digest, Bytes)>, WorkspaceError> {
    use rayon::prelude::*;
    let open = |frame: Frame| match frame.open() {
        Ok(bytes) => Ok((frame.digest, bytes)),
        Err(bad) => Err(WorkspaceError::Damaged(bad.0)),
    };
    frames.into_par_iter().map(open).collect()
}
