//! Blobs to and from a coordinator: verified, in bounded memory, sent again where the way broke.
//!
//! | file | owns |
//! |---|---|
//! | `nodes` | tree nodes, and those remembered |
//! | `upload` | what the store lacks, streamed to it |
//! | `download` | contents, streamed into a checkout |
//! | `direct` | the store itself, where it can be reached |
//!
//! It knows digests only. Every call has a deadline that grows with what it carries.

mod direct;
mod download;
mod nodes;
mod upload;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use postq_common::tree::Digest;
use postq_proto::v1::{FindMissingRequest, workspace_service_client::WorkspaceServiceClient};
use postq_runtime::channel::{Channel, MESSAGE_LIMIT};
use tokio::sync::watch;
use tracing::debug;

pub(super) use upload::{Part, Stock};

use self::{direct::Direct, nodes::Memory};
use super::WorkspaceError;

/// Digests per question; the coordinator takes no more.
const QUESTION: usize = 10_000;

/// Messages between a disk and the network: enough that neither waits, some 10 MiB at most.
const PIECES_AHEAD: usize = 4;

/// One stream carries about so much, so that little is sent again when it breaks, and so many run at
/// once, so that neither side waits while the other works.
const STREAM_BYTES: u64 = 64 << 20;
const STREAM_BLOBS: usize = 8192;
const STREAMS: usize = 3;

/// What any call may take, and what each megabyte adds: even a slow line does better.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PER_MIB: Duration = Duration::from_secs(20);

/// The coordinator's blobs.
#[derive(Clone)]
pub(super) struct Remote {
    channel: watch::Receiver<Channel>,
    tries: usize,
    memory: Arc<Memory>,
    progress: Arc<Progress>,
    direct: Arc<Direct>,
}

/// Where what is fetched is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verify {
    Here,
    ThereToo,
}

/// How far uploads are.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// Bytes that were read for sending, and how many there are to send, as far as that is known.
    pub fn sent(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }
}

impl Remote {
    pub(super) fn new(channel: watch::Receiver<Channel>, tries: usize) -> Self {
        let (memory, progress, direct) = (Arc::default(), Arc::default(), Arc::default());
        Self { channel, tries, memory, progress, direct }
    }

    /// How far its uploads are.
    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Does `work` as [`Remote::persist`] does; where something arrives damaged, once more with all
    /// of it verified by the store, which says whether the damage is there.
    async fn persist_verified<T, W>(&self, work: impl Fn(Verify) -> W) -> Result<T, WorkspaceError>
    where
        W: Future<Output = Result<T, WorkspaceError>>,
    {
        match self.persist(|| work(Verify::Here)).await {
            Err(error @ WorkspaceError::Damaged(_)) => {
                debug!(%error, "asking the store to verify it");
                self.persist(|| work(Verify::ThereToo)).await
            }
            done => done,
        }
    }

    fn client(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel.borrow().clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Does `work` again while it fails in a way that may pass.
    async fn persist<T, W>(&self, work: impl FnMut() -> W) -> Result<T, WorkspaceError>
    where
        W: Future<Output = Result<T, WorkspaceError>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(self.tries)
            .with_jitter();
        let persistent = work
            .retry(pauses)
            .when(WorkspaceError::is_passing)
            .notify(|error, pause| debug!(%error, ?pause, "trying again"));
        // Boxed, because it is large and its callers are held in one another.
        Box::pin(persistent.into_future()).await
    }

    /// Of each blob whether the store lacks it.
    async fn find_missing(&self, blobs: &[(Digest, Part)]) -> Result<Vec<bool>, WorkspaceError> {
        let mut missing = Vec::with_capacity(blobs.len());
        for some in blobs.chunks(QUESTION) {
            let some: Vec<Digest> = some.iter().map(|(digest, _)| *digest).collect();
            let lacks = self.persist(|| self.ask(&some)).await?;
            missing.extend(some.iter().map(|digest| lacks.contains(digest)));
        }
        Ok(missing)
    }

    async fn ask(&self, digests: &[Digest]) -> Result<HashSet<Digest>, WorkspaceError> {
        const VERB: &str = "tell which files it lacks";
        let digests = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let mut client = self.client();
        let question = client.find_missing(FindMissingRequest { digests });
        let answer = in_time(VERB, 0, question).await?.map_err(WorkspaceError::remote(VERB))?;
        let missing = answer.into_inner().missing;
        Ok(missing.iter().map(|field| Digest::try_from(&field[..])).collect::<Result<_, _>>()?)
    }
}

/// Waits for `work`, which carries so many bytes, at most as long as that may take.
async fn in_time<T>(
    verb: &'static str,
    bytes: u64,
    work: impl Future<Output = T>,
) -> Result<T, WorkspaceError> {
    let megabytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    let patience = PATIENCE + PATIENCE_PER_MIB.saturating_mul(megabytes);
    tokio::time::timeout(patience, work).await.map_err(|_| WorkspaceError::Late { verb })
}

/// Runs blocking `work` off the threads that serve.
pub(super) async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and drops this future as well.
            Err(_) => std::future::pending().await,
        },
    }
}
