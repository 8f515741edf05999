//! Long output of attempts that have ended moves from Postgres to the blob store; its end stays.
//!
//! Invariant: a chunk is deleted in the transaction that notes its page, whose blob is durable. So at any
//! instruction it may die: what was stored and not noted is stored again, or is garbage.

use std::time::Duration;

use bytes::Bytes;
use postq_common::{id::AttemptId, tree::Digest};
use postq_runtime::crash;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    errors,
    store::{Chunk, LogPage, Store, StoreError, TakenLog},
    wire::log_page,
    workspace::{BlobError, Blobs},
};

/// How often a coordinator looks.
const PERIOD: Duration = Duration::from_mins(1);
/// What stays in Postgres of long output: as much as a task's `results` and `errors` have, which is what somebody
/// looks at first. What is not twice as long stays whole: a row and a share of an object for less would save nothing.
const TAIL_BYTES: i64 = 64 << 10;
/// Output that has not arrived so long after the end of its attempt is not waited for; it moves when it comes.
const SETTLED: Duration = Duration::from_mins(1);
/// Attempts taken at a time, and how long nobody else takes them: some GiB at most, at a few MiB per second.
const TAKEN: i32 = 16;
const LEASE: Duration = Duration::from_mins(10);
/// Chunks read at a time: 16 MiB at most.
const CHUNKS: i64 = 64;
/// Output in one blob: what a reader has in memory, and reads with one request.
const PAGE_BYTES: usize = 2 << 20;
/// Output in one pack.
const BATCH_BYTES: usize = 16 << 20;

/// Why output stays where it is for now.
#[derive(Debug, thiserror::Error)]
pub enum Unmoved {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store does not answer.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// Moves output until told to stop.
pub async fn run(store: Store, blobs: Blobs, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            done = pass(&store, &blobs) => match done {
                Ok(0) => {}
                Ok(bytes) => info!(bytes, "output moved to the blob store"),
                Err(error) => error!(error = errors::chain(&error), "cannot move output to the blob store"),
            }
        }
    }
}

/// Moves all that can be moved now; how many bytes.
pub async fn pass(store: &Store, blobs: &Blobs) -> Result<usize, Unmoved> {
    let mut mover = Mover { store, blobs, batch: Vec::new(), bytes: 0, moved: 0 };
    loop {
        let taken = store.take_logs(TAKEN, TAIL_BYTES, SETTLED, LEASE).await?;
        for log in &taken {
            mover.take(log).await?;
        }
        mover.flush().await?;
        if taken.len() < usize::try_from(TAKEN).unwrap_or_default() {
            return Ok(mover.moved);
        }
    }
}

/// Chunks on their way.
struct Mover<'a> {
    store: &'a Store,
    blobs: &'a Blobs,
    batch: Vec<Page>,
    /// Output in the batch.
    bytes: usize,
    moved: usize,
}

struct Page {
    attempt: i64,
    last: i64,
    size_bytes: i64,
    /// No more of its attempt is to be moved.
    is_last: bool,
    blob: Bytes,
}

impl Mover<'_> {
    async fn take(&mut self, log: &TakenLog) -> Result<(), Unmoved> {
        let Some(last) = log.last else { return Ok(()) };
        let (mut after, mut open, mut bytes) = (log.behind, Vec::new(), 0);
        while after < last {
            let chunks = self.store.chunks(AttemptId(log.attempt), after, CHUNKS).await?;
            if chunks.is_empty() {
                // Somebody else was faster.
                break;
            }
            for chunk in chunks.into_iter().take_while(|chunk| chunk.number <= last) {
                after = chunk.number;
                bytes += chunk.data.len();
                open.push(chunk);
                if bytes >= PAGE_BYTES || after == last {
                    self.close(log.attempt, std::mem::take(&mut open), after == last);
                    bytes = 0;
                }
            }
            if self.bytes >= BATCH_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn close(&mut self, attempt: i64, chunks: Vec<Chunk>, is_last: bool) {
        let last = chunks.last().map_or(0, |chunk| chunk.number);
        let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        let (size_bytes, blob) = (bytes as i64, log_page::to_blob(attempt, chunks));
        self.bytes += bytes;
        self.batch.push(Page { attempt, last, size_bytes, is_last, blob });
    }

    async fn flush(&mut self) -> Result<(), Unmoved> {
        let (batch, bytes) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.bytes));
        if batch.is_empty() {
            return Ok(());
        }
        let digests = self.blobs.put(batch.iter().map(|page| page.blob.clone()).collect()).await?;
        crash::point("logs.stored");
        let note = |(page, digest): (Page, Digest)| {
            let Page { attempt, last, size_bytes, is_last, .. } = page;
            let digest = digest.as_bytes().to_vec();
            (LogPage { attempt, last, size_bytes, digest }, is_last)
        };
        let pages: Vec<_> = batch.into_iter().zip(digests).map(note).collect();
        self.store.move_logs(&pages).await?;
        crash::point("logs.moved");
        self.moved += bytes;
        Ok(())
    }
}
