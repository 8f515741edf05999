//! Cuts the streams of one attempt into numbered chunks on its spool.
//!
//! A chunk ends at [`LogLimits::chunk_bytes`] or after [`LogLimits::flush_after`]. Past the cap the
//! first and the last half are kept, with a marker between them that tells exactly how much is
//! missing. When too much is unacknowledged the writer stops reading, and so does the task's pipe.
//! Invariant: output that the disk does not take is replaced by a marker with its exact length.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use postq_proto::v1;
use postq_runtime::Shutdown;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    mask::{Mask, Secrets},
    overflow::{Overflow, Piece},
    shelf::Shelf,
    spool::{Spool, Stream, missing},
    tail::Tail,
};

/// Pieces of output on their way to the writer; each is at most one read of a pipe.
const CHANNEL_PIECES: usize = 4;

/// How output is cut and bounded.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Of one attempt, over both streams, in bytes.
    pub cap_bytes: u64,
    /// Of one attempt, written and not yet stored by a coordinator, in bytes.
    pub spool_bytes: u64,
    /// Of all attempts of the agent, written and not yet stored by a coordinator, in bytes.
    pub agent_bytes: u64,
    /// Largest chunk, in bytes.
    pub chunk_bytes: usize,
    /// Output waits at most this long for more.
    pub flush_after: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            cap_bytes: 64 * 1024 * 1024,
            spool_bytes: 16 * 1024 * 1024,
            agent_bytes: 1024 * 1024 * 1024,
            chunk_bytes: 256 * 1024,
            flush_after: Duration::from_secs(1),
        }
    }
}

/// What an attempt wrote.
#[derive(Debug, Default)]
pub struct Written {
    /// How many chunks it has in all.
    pub chunks: i64,
    /// The last 64 KiB of standard output.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
}

/// Where an executor puts the output of a task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Output {
    pieces: mpsc::Sender<(Stream, Bytes)>,
    is_unbounded: CancellationToken,
}

impl Output {
    /// Hands over output; waits while the coordinator is behind.
    pub async fn write(&self, stream: Stream, data: Bytes) {
        // The writer lives as long as any `Output`; should it have panicked, output is lost.
        let _ = self.pieces.send((stream, data)).await;
    }

    /// The task has ended: what is left in its pipes is little, and is waited for by no coordinator.
    pub fn hurry(&self) {
        self.is_unbounded.cancel();
    }
}

/// The writer of one attempt, running until the last [`Output`] is gone.
#[derive(Debug)]
pub struct LogWriter {
    written: oneshot::Receiver<Written>,
    is_unbounded: CancellationToken,
}

impl LogWriter {
    /// Starts it.
    pub fn start(
        shutdown: &Shutdown,
        shelf: Arc<Shelf>,
        of: v1::Held,
        limits: LogLimits,
        secrets: &Secrets,
    ) -> (Self, Output) {
        let (pieces, inbox) = mpsc::channel(CHANNEL_PIECES);
        let (done, written) = oneshot::channel();
        let is_unbounded = CancellationToken::new();
        let overflow = Overflow::new(&shelf.path_of(of.attempt), limits.cap_bytes / 2);
        let head = limits.cap_bytes - limits.cap_bytes / 2;
        let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
        // Of an attempt that an earlier life of the agent began.
        let spool = shelf.reopen(of.attempt);
        if let Some(spool) = &spool {
            let (out, err) = tokio::task::block_in_place(|| spool.tails());
            stdout.push(&out);
            stderr.push(&err);
        }
        let cutter = Cutter {
            head_left: head.saturating_sub(spool.as_ref().map_or(0, |spool| spool.bytes())),
            shelf,
            of,
            limits,
            overflow: Some(overflow),
            spool,
            buffers: Vec::new(),
            masks: [Stream::Stdout, Stream::Stderr, Stream::System]
                .map(|stream| (stream, Mask::new(secrets))),
            stdout,
            stderr,
            is_unbounded: is_unbounded.clone(),
            missing: 0,
            why: String::new(),
            is_warned: false,
        };
        shutdown.spawn("log writer", async move {
            let _ = done.send(cutter.run(inbox).await);
        });
        (Self { written, is_unbounded: is_unbounded.clone() }, Output { pieces, is_unbounded })
    }

    /// Cancel it when the task is being stopped: from then on the writer waits for no coordinator,
    /// and what is left in the task's pipes is little.
    pub fn unbounded(&self) -> CancellationToken {
        self.is_unbounded.clone()
    }

    /// Waits for the last piece. All [`Output`]s must be gone, or be going.
    pub async fn finish(self) -> Written {
        self.is_unbounded.cancel();
        self.written.await.unwrap_or_default()
    }
}

struct Cutter {
    shelf: Arc<Shelf>,
    of: v1::Held,
    limits: LogLimits,
    head_left: u64,
    overflow: Option<Overflow>,
    spool: Option<Arc<Spool>>,
    /// At most one per stream, the older first.
    buffers: Vec<(Stream, Vec<u8>)>,
    masks: [(Stream, Mask); 3],
    stdout: Tail,
    stderr: Tail,
    is_unbounded: CancellationToken,
    /// Bytes that were to be appended last and could not be.
    missing: u64,
    /// Why that is so.
    why: String,
    /// Somebody was told.
    is_warned: bool,
}

impl Cutter {
    async fn run(mut self, mut inbox: mpsc::Receiver<(Stream, Bytes)>) -> Written {
        let mut flush_at: Option<Instant> = None;
        loop {
            let due = flush_at.unwrap_or_else(Instant::now);
            tokio::select! {
                piece = inbox.recv() => match piece {
                    Some((stream, data)) => {
                        let mask = self.masks.iter_mut().find(|(of, _)| *of == stream);
                        match mask.and_then(|(_, mask)| mask.push(&data)) {
                            Some(masked) => self.take(stream, &masked).await,
                            None => self.take(stream, &data).await,
                        }
                        flush_at = match self.buffers.is_empty() {
                            true => None,
                            false => flush_at.or(Some(Instant::now() + self.limits.flush_after)),
                        };
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(due), if flush_at.is_some() => {
                    self.flush().await;
                    flush_at = None;
                }
            }
        }
        for at in 0..self.masks.len() {
            let (stream, mask) = &mut self.masks[at];
            let (stream, held) = (*stream, mask.finish());
            self.take(stream, &held).await;
        }
        self.flush().await;
        tokio::task::block_in_place(|| self.end());
        let chunks = self.spool.as_ref().map_or(0, |spool| spool.chunks());
        Written { chunks, stdout: self.stdout.into_bytes(), stderr: self.stderr.into_bytes() }
    }

    async fn take(&mut self, stream: Stream, mut data: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(data),
            Stream::Stderr => self.stderr.push(data),
            Stream::System => {}
        }
        while !data.is_empty() {
            let at = match self.buffers.iter().position(|(of, _)| *of == stream) {
                Some(at) => at,
                None => {
                    self.buffers.push((stream, Vec::new()));
                    self.buffers.len() - 1
                }
            };
            let buffer = &mut self.buffers[at].1;
            let (now, later) =
                data.split_at(data.len().min(self.limits.chunk_bytes - buffer.len()));
            buffer.extend_from_slice(now);
            data = later;
            if buffer.len() == self.limits.chunk_bytes {
                self.flush().await;
            }
        }
    }

    async fn flush(&mut self) {
        for (stream, data) in std::mem::take(&mut self.buffers) {
            self.keep(stream, data).await;
        }
    }

    /// To the spool while the head has room, past that to the overflow.
    async fn keep(&mut self, stream: Stream, data: Vec<u8>) {
        let fits = usize::try_from(self.head_left).unwrap_or(usize::MAX).min(data.len());
        self.head_left -= fits as u64;
        let mut head = data;
        let rest = head.split_off(fits);
        if !head.is_empty() {
            tokio::select! {
                () = self.has_room() => {}
                () = self.is_unbounded.cancelled() => {}
            }
            tokio::task::block_in_place(|| self.append(stream, &head, fits as u64));
        }
        if !rest.is_empty() {
            let pushed = tokio::task::block_in_place(|| match &mut self.overflow {
                Some(overflow) => overflow.push(stream, &rest),
                None => Ok(()),
            });
            if let Err(error) = pushed {
                self.is_lost(&error);
            }
        }
    }

    /// Waits while too much of this attempt, or of all, waits for a coordinator.
    async fn has_room(&self) {
        if let Some(spool) = &self.spool {
            spool.has_room(self.limits.spool_bytes).await;
        }
        self.shelf.budget.has_room(self.limits.agent_bytes).await;
    }

    /// Marker and tail, once the task has ended.
    fn end(&mut self) {
        if let Some(overflow) = self.overflow.take() {
            let left_out = overflow.left_out();
            if left_out > 0 {
                let marker = format!("postq: {left_out} bytes of output are left out here\n");
                self.append(Stream::System, marker.as_bytes(), left_out);
            }
            overflow.for_each(self.limits.chunk_bytes, |piece| match piece {
                Piece::Output(stream, data) => self.append(stream, data, data.len() as u64),
                Piece::Gap(bytes) => self.missing += bytes,
            });
        }
        if let Some(marker) = self.marker() {
            self.append_last(&marker);
        }
        if let Some(spool) = &self.spool {
            spool.close();
        }
    }

    /// A chunk that stands for so many bytes of output, behind a marker for what is missing before
    /// it; both or none.
    fn append(&mut self, stream: Stream, data: &[u8], bytes: u64) {
        match self.store(self.marker(), Some((stream, data))) {
            Ok(()) => self.missing = 0,
            Err(error) => {
                self.is_lost(&error);
                self.missing += bytes;
            }
        }
    }

    /// The word that must not be missing: where the disk does not take it, memory does.
    fn append_last(&mut self, marker: &str) {
        if self.store(Some(marker.to_owned()), None).is_err() {
            let spool = match &self.spool {
                Some(spool) => spool,
                None => self.spool.insert(self.shelf.create_in_memory(self.of.clone())),
            };
            spool.append_in_memory(Stream::System, marker.as_bytes());
            self.shelf.news.notify_one();
        }
    }

    fn marker(&self) -> Option<String> {
        let why = if self.why.is_empty() { "it could not be read back" } else { &self.why };
        (self.missing > 0).then(|| missing(self.missing, why))
    }

    fn store(&mut self, marker: Option<String>, chunk: Option<(Stream, &[u8])>) -> io::Result<()> {
        // Once nobody waits any more, only this bounds what all attempts leave here.
        if !self.shelf.budget.is_below(self.limits.agent_bytes) {
            return Err(io::Error::other("too much output waits for a coordinator"));
        }
        let spool = match &self.spool {
            Some(spool) => spool,
            None => self.spool.insert(self.shelf.create(self.of.clone())?),
        };
        let marker = marker.as_ref().map(|marker| (Stream::System, marker.as_bytes()));
        let chunks: Vec<_> = marker.into_iter().chain(chunk).collect();
        spool.append(&chunks)?;
        self.shelf.news.notify_one();
        Ok(())
    }

    fn is_lost(&mut self, error: &io::Error) {
        self.why = error.to_string();
        if !std::mem::replace(&mut self.is_warned, true) {
            warn!(attempt.id = self.of.attempt, %error, "output cannot be stored and is lost");
        }
    }
}
