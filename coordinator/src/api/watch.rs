//! `WatchJob`: the job as it is, then each change, until it has ended.

use futures::{StreamExt, stream::BoxStream};
use postq_common::id::JobId;
use postq_proto::v1;
use postq_runtime::Shutdown;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::{
    store::Store,
    watch::Share,
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
    revision: i64,
    share: Share,
}

impl Watch {
    /// Watches from behind `revision` on.
    pub fn new(store: Store, job: JobId, revision: i64, share: Share) -> Self {
        Self { store, job, revision, share }
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
        loop {
            if self.tell(sender).await? {
                return Ok(());
            }
            self.share.changed().await;
        }
    }

    /// One look: all that changed since the last one. True where the job has ended.
    async fn tell(&mut self, sender: &Sender) -> Result<bool, Status> {
        let row = self.store.job(self.job).await.map_err(status::of_store)?;
        // Read before the tasks: what changes in between is told again by the next look.
        let Some(row) = row else { return Err(Status::not_found("the job is gone")) };
        let job = convert::job(&row);
        let mut after = -1;
        let mut message = self.message(&job);
        let mut bytes = 0;
        loop {
            let rows = self
                .store
                .changed_tasks(self.job, self.revision, after, CHUNK)
                .await
                .map_err(status::of_store)?;
            let is_last = (rows.len() as i64) < CHUNK;
            for row in rows {
                let task = convert::task(row);
                after = task.number;
                bytes += task.encoded_len();
                message.tasks.push(task);
                if bytes > MESSAGE_BYTES {
                    bytes = 0;
                    let full = std::mem::replace(&mut message, self.message(&job));
                    if sender.send(Ok(full)).await.is_err() {
                        return Ok(true);
                    }
                }
            }
            if is_last {
                break;
            }
        }
        self.revision = row.revision;
        message.revision = row.revision;
        message.complete = true;
        let has_gone = sender.send(Ok(message)).await.is_err();
        Ok(has_gone || row.finished_at.is_some())
    }

    fn message(&self, job: &v1::Job) -> v1::WatchJobResponse {
        v1::WatchJobResponse {
            job: Some(job.clone()),
            tasks: Vec::new(),
            revision: self.revision,
            complete: false,
        }
    }
}
