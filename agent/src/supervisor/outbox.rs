//! What is to be said on the current stream, in order.
//!
//! Reports are queued by number and looked up when their turn comes, so that a stream that does
//! not move costs no memory and one that is replaced loses nothing.

use std::collections::VecDeque;

use postq_proto::v1::{self, ConnectRequest, connect_request::Message};
use tokio::sync::mpsc::{OwnedPermit, Sender};
use tokio_util::sync::CancellationToken;

use super::StreamNumber;

/// Something to say.
#[derive(Debug)]
pub(super) enum Item {
    Hello(Box<v1::Hello>),
    /// The report of this attempt, unless it was recorded meanwhile.
    Report(i64),
    Holding(v1::Holding),
}

impl Item {
    /// The message, where it is still worth saying.
    pub(super) fn into_message(
        self,
        report_of: impl FnOnce(i64) -> Option<v1::Report>,
    ) -> Option<ConnectRequest> {
        let message = match self {
            Self::Hello(hello) => Message::Hello(*hello),
            Self::Report(attempt) => Message::Report(report_of(attempt)?),
            Self::Holding(holding) => Message::Holding(holding),
        };
        Some(ConnectRequest { message: Some(message), ..Default::default() })
    }
}

/// One stream, as the session hands it over.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) number: StreamNumber,
    pub(crate) sender: Sender<ConnectRequest>,
    /// Cancelled when it is to be replaced by one with a new hello.
    pub(crate) renew: CancellationToken,
}

/// The current stream, if there is one, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    stream: Option<Stream>,
    queue: VecDeque<Item>,
}

impl Outbox {
    /// Takes up a new stream. What waited for the old one is forgotten: the new hello tells all.
    pub(super) fn attach(&mut self, stream: Stream) {
        self.queue.clear();
        self.stream = Some(stream);
    }

    /// What the last hello said of us is not true any more: another stream, another hello.
    pub(super) fn renew(&self) {
        if let Some(stream) = &self.stream {
            stream.renew.cancel();
        }
    }

    /// The stream of this number is gone.
    pub(super) fn detach(&mut self, number: StreamNumber) {
        if self.is_current(number) {
            self.queue.clear();
            self.stream = None;
        }
    }

    pub(super) fn is_current(&self, number: StreamNumber) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.number == number)
    }

    /// Says it when its turn comes; without a stream nobody is listening.
    pub(super) fn push(&mut self, item: Item) {
        if self.stream.is_some() {
            self.queue.push_back(item);
        }
    }

    /// Whether anything waits.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Resolves when the stream takes another message; none: it has ended.
    pub(super) async fn room(&self) -> Option<OwnedPermit<ConnectRequest>> {
        self.stream.as_ref()?.sender.clone().reserve_owned().await.ok()
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.queue.pop_front()
    }

    /// The stream has ended without anyone saying so.
    pub(super) fn close(&mut self) {
        self.queue.clear();
        self.stream = None;
    }
}
