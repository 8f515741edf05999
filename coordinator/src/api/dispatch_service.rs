//! `DispatchService`: the wire side of agents' sessions and of their output.

use futures::{FutureExt, StreamExt, stream::BoxStream};
use postq_common::id::{AttemptId, SessionId, TaskNumber};
use postq_proto::v1::{self, dispatch_service_server::DispatchService};
use postq_runtime::Shutdown;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    dispatch::{session::Sessions, words},
    store::{AttemptKey, NewChunk, Store},
    wire::{convert, status},
};

/// The largest message of an agent, whose reports have some 2 MiB at most: what is opened takes many
/// times as much where it has very many parts.
pub(crate) const MESSAGE_LIMIT: usize = 8 * 1024 * 1024;
/// Acknowledgements made ahead of an agent that reads slowly.
const AHEAD: usize = 16;
/// Chunks stored at a time.
const BATCH: usize = 64;
/// Bytes stored at a time.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The largest chunk an agent may push.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The service.
#[derive(Clone)]
pub struct DispatchApi {
    /// Agents' sessions.
    pub sessions: Sessions,
    /// The database.
    pub store: Store,
    /// Where streams run.
    pub shutdown: Shutdown,
}

#[tonic::async_trait]
impl DispatchService for DispatchApi {
    type ConnectStream = BoxStream<'static, Result<v1::ConnectResponse, Status>>;
    type PushLogsStream = BoxStream<'static, Result<v1::PushLogsResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let outbox = self.sessions.open(request.into_inner()).await?;
        let said = ReceiverStream::new(outbox.said);
        Ok(Response::new(if outbox.reads_more { words::pack(said).boxed() } else { said.boxed() }))
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<v1::PushLogsRequest>>,
    ) -> Result<Response<Self::PushLogsStream>, Status> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (store, stop) = (self.store.clone(), self.shutdown.token());
        let chunks = request.into_inner();
        self.shutdown.spawn("push logs", async move {
            let end = tokio::select! {
                end = take(store, chunks, &sender) => end,
                () = stop.cancelled() => Err(Status::unavailable("the coordinator stops")),
            };
            if let Err(status) = end {
                // The agent may have gone.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// Stores what comes, as much at a time as has arrived, and acknowledges it by its last numbers.
async fn take(
    store: Store,
    mut chunks: Streaming<v1::PushLogsRequest>,
    sender: &mpsc::Sender<Result<v1::PushLogsResponse, Status>>,
) -> Result<(), Status> {
    let mut next = chunks.message().await?;
    while let Some(first) = next.take() {
        let mut bytes = first.data.len();
        let mut batch = vec![chunk(first)?];
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            // Only what is there already: nobody waits for a full batch.
            match chunks.message().now_or_never() {
                Some(Ok(Some(more))) => {
                    bytes += more.data.len();
                    batch.push(chunk(more)?);
                }
                Some(Err(broken)) => return Err(broken),
                Some(Ok(None)) | None => break,
            }
        }
        store.push_logs(&batch).await.map_err(status::of_store)?;
        let mut last = std::collections::BTreeMap::new();
        for chunk in &batch {
            let number = last.entry(chunk.key.attempt.0).or_insert(0);
            *number = chunk.number.max(*number);
        }
        for (attempt, number) in last {
            if sender.send(Ok(v1::PushLogsResponse { attempt, number })).await.is_err() {
                return Ok(());
            }
        }
        next = chunks.message().await?;
    }
    Ok(())
}

fn chunk(pushed: v1::PushLogsRequest) -> Result<NewChunk, Status> {
    let stream = match pushed.stream() {
        v1::read_logs_response::Stream::Unspecified => {
            return Err(status::bad_field("stream", "missing"));
        }
        stream => stream as i16,
    };
    let of = pushed.of.ok_or_else(|| status::bad_field("of", "missing"))?;
    if pushed.number < 1 {
        return Err(status::bad_field("number", "chunks are numbered from 1"));
    }
    if pushed.data.len() > CHUNK_BYTES {
        return Err(status::bad_field("data", format!("larger than {CHUNK_BYTES} bytes")));
    }
    let key = AttemptKey {
        attempt: AttemptId(of.attempt),
        // Output is kept whoever the attempt belongs to by now.
        session: SessionId(0),
        job: convert::job_id("of.job_id", &of.job_id)?,
        task: TaskNumber(of.task),
    };
    Ok(NewChunk { key, number: pushed.number, stream, data: pushed.data })
}
