//! The second connection: chunks go out in order per attempt and fairly between attempts, and stay
//! on their spools until the coordinator has stored them.
//!
//! It never gives up, and knows nothing of how attempts end. Invariant: at most [`IN_FLIGHT_CHUNKS`]
//! chunks are in memory.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backon::BackoffBuilder;
use bytes::Bytes;
use postq_proto::v1::{
    self, PushLogsRequest, PushLogsResponse, dispatch_service_client::DispatchServiceClient,
};
use postq_runtime::channel::{self, Channel};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};
use tracing::{debug, warn};

use super::{shelf::Shelf, spool::Chunk};
use crate::coordinators::{self, Coordinators};

/// Chunks read from disk and not yet taken by the connection.
const IN_FLIGHT_CHUNKS: usize = 4;
/// How long the start of a stream may take before another coordinator is tried.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Pushes what is on the shelf.
#[derive(Debug)]
pub struct Pusher {
    shelf: Arc<Shelf>,
    coordinators: Coordinators,
}

impl Pusher {
    /// A pusher on a connection of its own.
    pub fn new(shelf: Arc<Shelf>, coordinators: Coordinators) -> Self {
        Self { shelf, coordinators }
    }

    /// Pushes until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.push_for_ever()).await;
    }

    async fn push_for_ever(&mut self) {
        let mut pauses = coordinators::backoff().build();
        loop {
            let (target, channel) = self.coordinators.take_turn().await;
            let shelf = self.shelf.clone();
            let error = push_stream(shelf, channel).await;
            if self.shelf.is_connected.swap(false, Ordering::Relaxed) {
                pauses = coordinators::backoff().build();
                self.coordinators.has_answered();
            }
            // The session says loudly when a coordinator is away; this is its shadow.
            let problem = error.message();
            match error.code() {
                // What the transport says when the other side is gone.
                Code::Unavailable | Code::Unknown | Code::Cancelled => {
                    debug!(url = %target, problem, "log stream ended");
                }
                _ => warn!(url = %target, problem, "output cannot be pushed; trying again"),
            }
            if self.coordinators.is_round_over() {
                tokio::time::sleep(pauses.next().unwrap_or(coordinators::MAX_PAUSE)).await;
            }
        }
    }
}

/// Pushes over one stream until it breaks.
async fn push_stream(shelf: Arc<Shelf>, channel: Channel) -> Status {
    for spool in shelf.all() {
        spool.rewind();
    }
    let mut client = DispatchServiceClient::new(channel)
        .max_decoding_message_size(channel::MESSAGE_LIMIT)
        .max_encoding_message_size(channel::MESSAGE_LIMIT);
    let (outbox, requests) = mpsc::channel(IN_FLIGHT_CHUNKS);
    let receiving = async {
        let started = client.push_logs(ReceiverStream::new(requests));
        match tokio::time::timeout(START_TIMEOUT, started).await {
            Ok(Ok(answers)) => receive(&shelf, answers.into_inner()).await,
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("the coordinator does not answer"),
        }
    };
    let sending = async {
        send(&shelf, outbox).await;
        // The receiving side knows why.
        std::future::pending().await
    };
    tokio::select! {
        status = receiving => status,
        status = sending => status,
    }
}

async fn receive(shelf: &Shelf, mut answers: Streaming<PushLogsResponse>) -> Status {
    shelf.is_connected.store(true, Ordering::Relaxed);
    loop {
        match answers.message().await {
            Ok(Some(answer)) => shelf.acknowledge(answer.attempt, answer.number),
            Ok(None) => return Status::unavailable("the coordinator closed the stream"),
            Err(status) => return status,
        }
    }
}

/// Sends one chunk of each attempt in turn; returns only when the stream broke.
async fn send(shelf: &Shelf, outbox: mpsc::Sender<PushLogsRequest>) {
    loop {
        let news = shelf.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let mut has_sent = false;
        for spool in shelf.all() {
            let next = tokio::task::block_in_place(|| spool.next_unsent());
            let Some(chunk) = next else { continue };
            has_sent = true;
            if outbox.send(to_request(&spool.of, chunk)).await.is_err() {
                return;
            }
        }
        if !has_sent {
            news.await;
        }
    }
}

fn to_request(of: &v1::Held, chunk: Chunk) -> PushLogsRequest {
    PushLogsRequest {
        of: Some(of.clone()),
        number: chunk.number,
        stream: chunk.stream.to_proto().into(),
        data: Bytes::from(chunk.data),
    }
}
