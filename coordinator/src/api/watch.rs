//! `WatchJob`: the job as it is, then each change, until it has ended.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use postq_common::id::JobId;
use postq_proto::v1;
use postq_runtime::Shutdown;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    store::{JobRow, Seen, Store, TaskRow},
    watch::{News, Share},
    wire::{convert, status},
};

/// Messages made ahead of a client that reads slowly.
const AHEAD: usize = 4;
/// Tasks read from the database at a time.
const CHUNK: i64 = 1000;
/// A message ends here and the next one goes on.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

type Sender = mpsc::Sender<Result<v1::WatchJobResponse, Status>>;

/// One watcher.
pub struct Watch {
    store: Store,
    job: JobId,
    /// Everything up to here was told.
    seen: Seen,
    share: Share,
}

impl Watch {
    /// Watches from behind `revision` on.
    pub fn new(store: Store, job: JobId, revision: i64, share: Share) -> Self {
        Self { store, job, seen: Seen { revision, waiting_turn: 0 }, share }
    }

    /// Runs until the job has ended or the client has gone.
    pub fn stream(
        mut self,
        shutdown: &Shutdown,
    ) -> BoxStream<'static, Result<v1::WatchJobResponse, Status>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stop = shutdown.token();
        shutdown.spawn("watch", async move {
            let end = tokio::select! {
                end = self.run(&sender) => end,
                () = sender.closed() => return,
                () = stop.cancelled() => Err(Status::unavailable(
                    "the coordinator stops; watch again, from the last revision",
                )),
            };
            if let Err(status) = end {
                // The client may have gone.
                let _ = sender.send(Err(status)).await;
            }
        });
        ReceiverStream::new(receiver).boxed()
    }

    async fn run(&mut self, sender: &Sender) -> Result<(), Status> {
        let mut news: Option<Arc<News>> = None;
        loop {
            let has_ended = match news {
                Some(news) => self.hand_on(&news, sender).await,
                None => self.tell(sender).await?,
            };
            if has_ended {
                return Ok(());
            }
            // Who was told less than what the news begin with reads for itself.
            news = self.share.changed().await.filter(|news| self.seen.includes(&news.after));
        }
    }

    /// What the shared look has found. True where the job has ended.
    async fn hand_on(&mut self, news: &News, sender: &Sender) -> bool {
        let mut out = Out::new(convert::job(&news.job), self.seen.revision);
        for row in &news.tasks {
            if out.add(row.clone(), sender).await.is_err() {
                return true;
            }
        }
        self.finish(out, &news.job, news.until, sender).await
    }

    /// A look of its own: all that changed since the last one. True where the job has ended.
    async fn tell(&mut self, sender: &Sender) -> Result<bool, Status> {
        // Both are read before the tasks: what changes in between is told again by the next look.
        let glance = self.store.glance(self.job).await.map_err(status::of_store)?;
        let row = self.store.job(self.job).await.map_err(status::of_store)?;
        let (Some(glance), Some(row)) = (glance, row) else {
            return Err(Status::not_found("the job is gone"));
        };
        let mut out = Out::new(convert::job(&row), self.seen.revision);
        let mut after = -1;
        loop {
            let rows = self
                .store
                .changed_tasks(self.job, self.seen, after, CHUNK)
                .await
                .map_err(status::of_store)?;
            let is_last = (rows.len() as i64) < CHUNK;
            for row in rows {
                after = row.n;
                if out.add(row, sender).await.is_err() {
                    return Ok(true);
                }
            }
            if is_last {
                return Ok(self.finish(out, &row, glance.seen(), sender).await);
            }
        }
    }

    /// The last message of a look. True where nobody waits for another.
    async fn finish(&mut self, out: Out, row: &JobRow, seen: Seen, sender: &Sender) -> bool {
        self.seen = Seen { revision: row.revision, ..seen };
        let last = v1::WatchJobResponse { revision: row.revision, complete: true, ..out.message };
        sender.send(Ok(last)).await.is_err() || row.finished_at.is_some()
    }
}

/// The messages of one look.
struct Out {
    message: v1::WatchJobResponse,
    bytes: usize,
}

impl Out {
    fn new(job: v1::Job, revision: i64) -> Self {
        let message = v1::WatchJobResponse { job: Some(job), revision, ..Default::default() };
        Self { message, bytes: 0 }
    }

    /// Adds a task, and sends what has become too large to go on with. Fails where nobody listens.
    async fn add(&mut self, row: TaskRow, sender: &Sender) -> Result<(), Gone> {
        let task = convert::task(row);
        self.bytes += task.encoded_len();
        self.message.tasks.push(task);
        if self.bytes <= MESSAGE_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        let tasks = std::mem::take(&mut self.message.tasks);
        let full = v1::WatchJobResponse { tasks, ..self.message.clone() };
        sender.send(Ok(full)).await.map_err(|_| Gone)
    }
}

/// The client has left.
struct Gone;
