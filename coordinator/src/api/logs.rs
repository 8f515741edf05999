//! `ReadLogs`: the output of a job's attempts, each in the order it was written, optionally until
//! all of it was.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use postq_common::{
    id::{AttemptId, JobId},
    tree::Digest,
};
use postq_proto::v1;
use postq_runtime::Shutdown;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::error;

use super::{
    log_tail::{self, Start},
    workspace_service::blob_status,
};
use crate::{
    errors,
    store::{Chunk, LogPage, Logged, LoggedAttempt, Store},
    wire::{log_page, status},
    workspace::{BlobError, Blobs},
};

/// Messages made ahead of a client that reads slowly.
const AHEAD: usize = 8;
/// Chunks read from the database at a time: some MiB at most.
pub(super) const CHUNK: i64 = 16;
/// How often a follower looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a follower waits for chunks of an attempt that has ended: its agent may still send them,
/// or may be gone.
const LATE: Duration = Duration::from_secs(15);

type Sender = mpsc::Sender<Result<v1::ReadLogsResponse, Status>>;

/// Where the reading of one attempt is.
#[derive(Debug)]
struct Place {
    last: i64,
    /// Bytes of the next chunk that are left out.
    skip: usize,
    is_done: bool,
    moved: Instant,
}

/// One reader.
pub struct Reader {
    store: Store,
    blobs: Blobs,
    job: JobId,
    request: v1::ReadLogsRequest,
    places: BTreeMap<i64, Place>,
}

impl Reader {
    /// Reads from the beginning, or where the last lines begin that were asked for.
    pub fn new(store: Store, blobs: Blobs, job: JobId, request: v1::ReadLogsRequest) -> Self {
        Self { store, blobs, job, request, places: BTreeMap::new() }
    }

    /// Runs until everything was read or the client has gone.
    pub fn stream(
        mut self,
        shutdown: &Shutdown,
    ) -> BoxStream<'static, Result<v1::ReadLogsResponse, Status>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stop = shutdown.token();
        shutdown.spawn("read logs", async move {
            let end = tokio::select! {
                end = self.run(&sender) => end,
                () = sender.closed() => return,
                () = stop.cancelled() => Err(Status::unavailable("the coordinator stops; read again")),
            };
            if let Err(status) = end {
                // The client may have gone.
                let _ = sender.send(Err(status)).await;
            }
        });
        ReceiverStream::new(receiver).boxed()
    }

    async fn run(&mut self, sender: &Sender) -> Result<(), Status> {
        loop {
            // Asked before the attempts are read: an attempt made later belongs to a later look.
            let glance = self.store.glance(self.job).await.map_err(status::of_store)?;
            let has_ended = glance.is_none_or(|glance| glance.is_ended);
            let attempt = Some(AttemptId(self.request.attempt)).filter(|attempt| attempt.0 != 0);
            let attempts = self
                .store
                .logged_attempts(self.job, &self.request.tasks, attempt)
                .await
                .map_err(status::of_store)?;
            if let (Some(attempt), true) = (attempt, attempts.is_empty()) {
                let job = self.job;
                return Err(Status::not_found(format!("job {job} has no attempt {attempt}")));
            }
            let mut is_done = has_ended || attempt.is_some();
            for attempt in &attempts {
                is_done &= self.read(attempt, sender).await?;
            }
            if is_done || !self.request.follow {
                return Ok(());
            }
            // What begins while somebody follows is followed from its beginning.
            self.request.tail_lines = 0;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Passes on what is new of one attempt. True where there will be no more.
    async fn read(&mut self, attempt: &LoggedAttempt, sender: &Sender) -> Result<bool, Status> {
        if !self.places.contains_key(&attempt.id) {
            let Start { after, skip } = self.start_of(attempt).await?;
            let place = Place { last: after, skip, is_done: false, moved: Instant::now() };
            self.places.insert(attempt.id, place);
        }
        let place = self.places.get_mut(&attempt.id).expect("invariant: it was put there");
        while !place.is_done {
            let logged = self.store.logged(AttemptId(attempt.id), place.last, CHUNK).await;
            let chunks = match logged.map_err(status::of_store)? {
                Logged::Chunks(chunks) => chunks,
                Logged::Page(page) => chunks_of(&self.blobs, &page, place.last).await?,
            };
            if chunks.is_empty() {
                let is_whole = attempt.log_chunks.is_some_and(|all| place.last >= all);
                let is_late = !attempt.is_open && place.moved.elapsed() > LATE;
                place.is_done = is_whole || is_late;
                break;
            }
            for chunk in chunks {
                // A page that was lost since it was counted has become a shorter word about that.
                let skip = std::mem::take(&mut place.skip).min(chunk.data.len());
                place.last = chunk.number;
                place.moved = Instant::now();
                let message = v1::ReadLogsResponse {
                    task: attempt.task.clone(),
                    attempt: attempt.id,
                    number: chunk.number,
                    stream: i32::from(chunk.stream),
                    data: Bytes::from(chunk.data).split_off(skip),
                };
                if sender.send(Ok(message)).await.is_err() {
                    return Ok(true);
                }
            }
        }
        Ok(place.is_done)
    }

    async fn start_of(&self, attempt: &LoggedAttempt) -> Result<Start, Status> {
        if let Some(&after) = self.request.after.get(&attempt.id) {
            return Ok(Start { after, skip: 0 });
        }
        match u64::try_from(self.request.tail_lines) {
            Ok(0) | Err(_) => Ok(Start::default()),
            Ok(lines) => {
                log_tail::start(&self.store, &self.blobs, AttemptId(attempt.id), lines).await
            }
        }
    }
}

/// What is new in a page; a word about what is lost where the store has not kept it.
pub(super) async fn chunks_of(
    blobs: &Blobs,
    page: &LogPage,
    after: i64,
) -> Result<Vec<Chunk>, Status> {
    let digest = Digest::try_from(&page.digest[..])
        .map_err(|_| Status::data_loss("the name of a page of output is damaged"))?;
    let unfit = BlobError::Unfit(digest);
    let read = blobs.read(digest).await;
    let read = read.and_then(|blob| log_page::from_blob(page.attempt, blob).ok_or(unfit));
    match read {
        Ok(chunks) => Ok(chunks.into_iter().filter(|chunk| chunk.number > after).collect()),
        Err(error @ BlobError::Store { .. }) => Err(blob_status(error)),
        Err(lost) => {
            error!(attempt.id = page.attempt, error = errors::chain(&lost), "output is lost");
            let bytes = page.size_bytes;
            let data = format!("postq: {bytes} bytes of output are missing here: {lost}\n").into();
            let stream = v1::read_logs_response::Stream::System as i16;
            Ok(vec![Chunk { number: page.last, stream, data }])
        }
    }
}
