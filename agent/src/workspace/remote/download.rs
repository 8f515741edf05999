//! Contents, streamed into a checkout.

use postq_common::tree::Digest;
use postq_proto::v1::{BlobPiece, DownloadRequest, blob_piece::Piece};
use tokio::sync::mpsc;

use super::{PIECES_AHEAD, Remote, WorkspaceError, in_time, off};
use crate::workspace::checkout::Checkout;

/// One stream carries about so much, so that little is sent again when it breaks.
const STREAM_BYTES: u64 = 64 << 20;
const STREAM_BLOBS: usize = 1000;

impl Remote {
    /// Fetches all that `checkout` waits for.
    pub(in super::super) async fn fill(
        &self,
        mut checkout: Checkout,
    ) -> Result<Checkout, WorkspaceError> {
        loop {
            let request = next_request(&checkout);
            if request.is_empty() {
                return Ok(checkout);
            }
            checkout = self.fill_some(checkout, &request).await?;
        }
    }

    async fn fill_some(
        &self,
        checkout: Checkout,
        request: &[(Digest, u64)],
    ) -> Result<Checkout, WorkspaceError> {
        // Between tries the checkout is here; it remembers what has arrived.
        let place = tokio::sync::Mutex::new(Some(checkout));
        let attempt = async || {
            let mut place = place.lock().await;
            let Some(checkout) = place.take() else {
                return Err(WorkspaceError::Protocol("a checkout was lost"));
            };
            // The store sends what it is asked for, so what came before the break is left out.
            let still = still_wanted(&checkout, request);
            let (checkout, filled) = match still.is_empty() {
                true => (checkout, Ok(())),
                false => self.stream(checkout, &still).await,
            };
            *place = Some(checkout);
            filled
        };
        self.persist(attempt).await?;
        place.into_inner().ok_or(WorkspaceError::Protocol("a checkout was lost"))
    }

    async fn stream(
        &self,
        mut checkout: Checkout,
        request: &[(Digest, u64)],
    ) -> (Checkout, Result<(), WorkspaceError>) {
        let (pieces, mut received) = mpsc::channel(PIECES_AHEAD);
        checkout.reset();
        let writer = off(move || {
            let written = write(&mut checkout, &mut received);
            // Lets the other side know that nobody listens any more.
            drop(received);
            (checkout, written)
        });
        let (heard, (checkout, written)) = tokio::join!(self.receive(request, pieces), writer);
        let lacks = !still_wanted(&checkout, request).is_empty();
        let result = match (written, heard) {
            // The store has found the blob damaged, which explains its size.
            (Err(WorkspaceError::WrongSize { .. }), Err(lost @ WorkspaceError::Lost(_))) => {
                Err(lost)
            }
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(())) if lacks => {
                Err(WorkspaceError::Protocol("a blob is missing without a word"))
            }
            (Ok(()), Ok(())) => Ok(()),
        };
        (checkout, result)
    }

    async fn receive(
        &self,
        request: &[(Digest, u64)],
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), WorkspaceError> {
        const VERB: &str = "send files";
        let failed = || WorkspaceError::remote(VERB);
        let digests = request.iter().map(|(digest, _)| digest.as_bytes().to_vec()).collect();
        let mut client = self.client();
        let answer = client.download(DownloadRequest { digests });
        let mut stream = in_time(VERB, 0, answer).await?.map_err(failed())?.into_inner();
        while let Some(message) = in_time(VERB, 0, stream.message()).await?.map_err(failed())? {
            let Some(BlobPiece { piece: Some(piece) }) = message.piece else {
                return Err(WorkspaceError::Protocol("a message without a piece"));
            };
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn next_request(checkout: &Checkout) -> Vec<(Digest, u64)> {
    let mut request = Vec::new();
    let mut bytes = 0;
    for wanted in checkout.wanted() {
        bytes += wanted.1;
        request.push(wanted);
        if bytes >= STREAM_BYTES || request.len() >= STREAM_BLOBS {
            break;
        }
    }
    request
}

/// What of a request has not arrived.
fn still_wanted(checkout: &Checkout, request: &[(Digest, u64)]) -> Vec<(Digest, u64)> {
    let still = checkout.wanted();
    request.iter().filter(|wanted| still.binary_search(wanted).is_ok()).copied().collect()
}

fn write(
    checkout: &mut Checkout,
    received: &mut mpsc::Receiver<Piece>,
) -> Result<(), WorkspaceError> {
    while let Some(piece) = received.blocking_recv() {
        let taken = match piece {
            Piece::Start(start) => checkout.start(Digest::try_from(&start.digest[..])?, start.size),
            Piece::Data(data) => checkout.data(&data),
        };
        if matches!(taken, Err(WorkspaceError::WrongSize { .. })) {
            // Heard to its end, the store notices that it is damaged and forgets it.
            while received.blocking_recv().is_some() {}
        }
        taken?;
    }
    Ok(())
}
