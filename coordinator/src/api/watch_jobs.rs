//! `WatchJobs`: the newest jobs that a filter chooses as they are, then each that comes or changes.
//!
//! Invariant: a look is bounded, whatever the filter: the newest so many, and by their ids those older
//! ones that were open the last time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use postq_proto::v1;
use postq_runtime::Shutdown;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use uuid::Uuid;

use crate::{
    store::{JobFilter, JobRow, Store},
    wire::{convert, status},
};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages made ahead of a client that reads slowly.
const AHEAD: usize = 4;
/// A message ends here and the next one goes on.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// How many of the newest are looked at where the client does not say, and at most.
const NEWEST: i32 = 100;
const MOST_NEWEST: i32 = 1000;
/// Open jobs that are older than the newest ones; of more, the oldest are watched no longer.
const MOST_OLDER: usize = 10_000;

type Answer = Result<v1::WatchJobsResponse, Status>;

/// What was told of a job.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    revision: i64,
    /// A start raises no revision.
    state: String,
    is_cancelled: bool,
    is_open: bool,
}

impl From<&JobRow> for Told {
    fn from(row: &JobRow) -> Self {
        Self {
            revision: row.revision,
            state: row.state.clone(),
            is_cancelled: row.cancel_requested_at.is_some(),
            is_open: row.finished_at.is_none(),
        }
    }
}

/// One watcher.
pub struct WatchJobs {
    store: Store,
    newest: JobFilter,
    until_ended: bool,
    told: BTreeMap<Uuid, Told>,
}

impl WatchJobs {
    /// Nothing looked at yet.
    pub fn new(store: Store, request: v1::WatchJobsRequest) -> Result<Self, Status> {
        let limit = match request.max_count {
            0 => NEWEST,
            count @ 1..=MOST_NEWEST => count,
            other => {
                let message = format!("is {other}; it may be 1 to {MOST_NEWEST}");
                return Err(status::bad_field("max_count", message));
            }
        };
        let newest = JobFilter {
            filter: Some(request.filter).filter(|filter| !filter.is_empty()),
            queue: Some(request.queue).filter(|queue| !queue.is_empty()),
            limit: limit.into(),
            ..JobFilter::default()
        };
        Ok(Self { store, newest, until_ended: request.until_ended, told: BTreeMap::new() })
    }

    /// Runs until none is open, if that is wanted, or the client has gone.
    pub fn stream(mut self, shutdown: &Shutdown) -> BoxStream<'static, Answer> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stop = shutdown.token();
        shutdown.spawn("watch_jobs", async move {
            let end = tokio::select! {
                end = self.run(&sender) => end,
                () = sender.closed() => return,
                () = stop.cancelled() => Err(Status::unavailable("the coordinator stops; watch again")),
            };
            if let Err(status) = end {
                // The client may have gone.
                let _ = sender.send(Err(status)).await;
            }
        });
        ReceiverStream::new(receiver).boxed()
    }

    async fn run(&mut self, sender: &mpsc::Sender<Answer>) -> Result<(), Status> {
        let mut is_first = true;
        loop {
            let changed = self.look().await?;
            if is_first || !changed.is_empty() {
                for message in messages(changed) {
                    if sender.send(Ok(message)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if self.until_ended && !self.told.values().any(|told| told.is_open) {
                return Ok(());
            }
            is_first = false;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Those that are new or have changed since the last look, the oldest first.
    async fn look(&mut self) -> Result<Vec<JobRow>, Status> {
        let mut rows = self.store.jobs(&self.newest).await.map_err(status::of_store)?;
        let seen: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let older = self.told.iter().rev().filter(|(id, told)| told.is_open && !seen.contains(id));
        let ids: Vec<Uuid> = older.map(|(id, _)| *id).take(MOST_OLDER).collect();
        if !ids.is_empty() {
            let older = JobFilter { limit: ids.len() as i64, ids, ..JobFilter::default() };
            rows.extend(self.store.jobs(&older).await.map_err(status::of_store)?);
        }
        Ok(self.news_in(rows))
    }

    /// Remembers these and no others; those of them that were not told so, the oldest first.
    fn news_in(&mut self, mut rows: Vec<JobRow>) -> Vec<JobRow> {
        let now: BTreeMap<Uuid, Told> = rows.iter().map(|row| (row.id, Told::from(row))).collect();
        rows.retain(|row| self.told.get(&row.id) != now.get(&row.id));
        rows.sort_unstable_by_key(|row| row.id);
        self.told = now;
        rows
    }
}

/// Rows as messages that are not too large; one at least.
fn messages(rows: Vec<JobRow>) -> Vec<v1::WatchJobsResponse> {
    let mut all = vec![v1::WatchJobsResponse::default()];
    let mut bytes = 0;
    for row in &rows {
        let job = convert::job(row);
        bytes += job.encoded_len();
        if bytes > MESSAGE_BYTES && all.last().is_some_and(|last| !last.jobs.is_empty()) {
            all.push(v1::WatchJobsResponse::default());
            bytes = job.encoded_len();
        }
        if let Some(last) = all.last_mut() {
            last.jobs.push(job);
        }
    }
    if let Some(last) = all.last_mut() {
        last.complete = true;
    }
    all
}
