//! The coordinator's two streams about a job, resumed when they break.
//!
//! It knows nothing of how they are shown. Invariant: nothing is told twice and nothing is left
//! out, however often the connection breaks; a coordinator that stays away ends the stream.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{Stream, StreamExt, stream};
use postq_proto::v1::{ReadLogsRequest, ReadLogsResponse, WatchJobRequest, WatchJobResponse};
use tonic::{Status, Streaming};

use super::words;
use crate::{
    client::Coordinator,
    failure::{Failure, is_transient},
};

/// How long a coordinator may stay away that has answered before.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// How long one may that never did: its address may be wrong, and somebody waits.
const GIVE_UP_AT_ONCE: Duration = Duration::from_secs(1);

/// The job as it is, then its changes, until it has ended.
pub fn changes(
    coordinator: Coordinator,
    id: &str,
) -> impl Stream<Item = Result<WatchJobResponse, Failure>> + Unpin + use<> {
    let watch = Watch { coordinator, id: id.to_owned(), after_revision: 0, is_over: false };
    resumed(watch)
}

/// The output of a job's tasks.
pub fn logs(
    coordinator: Coordinator,
    request: ReadLogsRequest,
) -> impl Stream<Item = Result<ReadLogsResponse, Failure>> + Unpin + use<> {
    resumed(Logs { coordinator, request, seen: BTreeMap::new() })
}

/// A stream that can be taken up where it broke.
trait Resumable {
    type Item;
    fn open(&self) -> impl Future<Output = Result<Streaming<Self::Item>, Status>> + Send;
    /// Remembers that `item` was told; gives it back unless it had been told before.
    fn accept(&mut self, item: Self::Item) -> Option<Self::Item>;
    /// Whether the end of the stream is its true end.
    fn is_complete(&self) -> bool;
    fn failure(&self, status: &Status) -> Failure;
}

struct State<R: Resumable> {
    source: R,
    open: Option<Streaming<R::Item>>,
    pauses: ExponentialBackoff,
    silent_since: Option<Instant>,
    has_answered: bool,
    is_done: bool,
}

fn resumed<R: Resumable + Send + 'static>(
    source: R,
) -> impl Stream<Item = Result<R::Item, Failure>> + Unpin + use<R>
where
    R::Item: Send + 'static,
{
    let state = State {
        source,
        open: None,
        pauses: pauses(),
        silent_since: None,
        has_answered: false,
        is_done: false,
    };
    Box::pin(stream::unfold(state, |mut state| async move {
        let item = state.next().await?;
        Some((item, state))
    }))
}

impl<R: Resumable> State<R> {
    async fn next(&mut self) -> Option<Result<R::Item, Failure>> {
        loop {
            if self.is_done {
                return None;
            }
            let stream = match self.open.take() {
                Some(stream) => Ok(stream),
                None => self.source.open().await,
            };
            let next = match stream {
                Ok(mut stream) => {
                    self.has_answered = true;
                    let next = stream.message().await;
                    self.open = Some(stream);
                    next
                }
                Err(status) => Err(status),
            };
            match next {
                Ok(Some(item)) => {
                    self.pauses = pauses();
                    self.silent_since = None;
                    if let Some(item) = self.source.accept(item) {
                        return Some(Ok(item));
                    }
                }
                Ok(None) if self.source.is_complete() => return None,
                Ok(None) => self.pause().await,
                Err(status) if is_transient(&status) && !self.is_given_up() => self.pause().await,
                Err(status) => {
                    self.is_done = true;
                    return Some(Err(self.source.failure(&status)));
                }
            }
        }
    }

    async fn pause(&mut self) {
        self.open = None;
        self.silent_since.get_or_insert_with(Instant::now);
        tokio::time::sleep(self.pauses.next().unwrap_or(Duration::from_secs(1))).await;
    }

    fn is_given_up(&self) -> bool {
        let limit = if self.has_answered { GIVE_UP_AFTER } else { GIVE_UP_AT_ONCE };
        self.silent_since.is_some_and(|since| since.elapsed() >= limit)
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
}

struct Watch {
    coordinator: Coordinator,
    id: String,
    after_revision: i64,
    is_over: bool,
}

impl Resumable for Watch {
    type Item = WatchJobResponse;

    async fn open(&self) -> Result<Streaming<WatchJobResponse>, Status> {
        let request = WatchJobRequest { id: self.id.clone(), after_revision: self.after_revision };
        Ok(self.coordinator.jobs().watch_job(request).await?.into_inner())
    }

    fn accept(&mut self, told: WatchJobResponse) -> Option<WatchJobResponse> {
        if told.complete {
            self.after_revision = told.revision;
            self.is_over =
                told.job.as_ref().is_some_and(|job| words::is_over(job.state())) || self.is_over;
        }
        Some(told)
    }

    fn is_complete(&self) -> bool {
        self.is_over
    }

    fn failure(&self, status: &Status) -> Failure {
        Failure::from_status(status, "watch the job", self.coordinator.url())
    }
}

struct Logs {
    coordinator: Coordinator,
    request: ReadLogsRequest,
    /// The number of the last chunk told of each attempt.
    seen: BTreeMap<i64, i64>,
}

impl Logs {
    /// Goes on behind what was told.
    fn next_request(&self) -> ReadLogsRequest {
        ReadLogsRequest { after: self.seen.clone(), ..self.request.clone() }
    }
}

impl Resumable for Logs {
    type Item = ReadLogsResponse;

    async fn open(&self) -> Result<Streaming<ReadLogsResponse>, Status> {
        Ok(self.coordinator.jobs().read_logs(self.next_request()).await?.into_inner())
    }

    fn accept(&mut self, chunk: ReadLogsResponse) -> Option<ReadLogsResponse> {
        let seen = self.seen.entry(chunk.attempt).or_default();
        if chunk.number <= *seen {
            return None;
        }
        *seen = chunk.number;
        Some(chunk)
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn failure(&self, status: &Status) -> Failure {
        Failure::from_status(status, "read the output", self.coordinator.url())
    }
}

/// The end of a stream is where `stream` has no more: for those who wait for it beside others.
pub async fn next_or_never<S: Stream + Unpin>(stream: &mut Option<S>) -> Option<S::Item> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unconnected() -> Coordinator {
        Coordinator::connect_lazily("http://127.0.0.1:1", None).unwrap()
    }

    #[tokio::test]
    async fn a_chunk_read_again_after_a_break_is_told_once() {
        let request = ReadLogsRequest { tail_lines: 5, ..ReadLogsRequest::default() };
        let mut logs = Logs { coordinator: unconnected(), request, seen: BTreeMap::new() };
        let chunk =
            |attempt, number| ReadLogsResponse { attempt, number, ..ReadLogsResponse::default() };
        assert_eq!(logs.next_request(), logs.request);
        assert!(logs.accept(chunk(1, 1)).is_some());
        assert!(logs.accept(chunk(1, 2)).is_some());
        let next = logs.next_request();
        assert_eq!((next.after, next.tail_lines), ([(1, 2)].into(), 5));
        assert!(logs.accept(chunk(1, 1)).is_none());
        assert!(logs.accept(chunk(2, 1)).is_some());
        assert!(logs.accept(chunk(1, 3)).is_some());
    }

    #[tokio::test]
    async fn a_watch_goes_on_after_the_last_complete_revision() {
        let mut watch =
            Watch { coordinator: unconnected(), id: "j".into(), after_revision: 0, is_over: false };
        let told = |revision, complete| WatchJobResponse {
            revision,
            complete,
            ..WatchJobResponse::default()
        };
        watch.accept(told(4, false));
        assert_eq!(watch.after_revision, 0);
        watch.accept(told(7, true));
        assert_eq!(watch.after_revision, 7);
        assert!(!watch.is_complete());
    }
}
