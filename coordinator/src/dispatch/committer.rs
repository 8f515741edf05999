//! The one way in which an attempt ends: a single committer takes whatever has arrived when the
//! previous commit returned, and records it in one transaction.
//!
//! It knows no streams; who sent a word learns its verdict. Invariant: a verdict is given only
//! after the commit, and a batch that the database refuses is halved down to the guilty row.

use std::{sync::Arc, time::Duration};

use postq_common::state::Outcome;
use postq_runtime::crash;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Roster, Wake, Wakes};
use crate::{
    metrics::Metrics,
    signals::Signals,
    store::{Finish, Finished, Store, StoreError, Verdict},
    watch::Looks,
};

/// Ends waiting to be recorded; when it is full, sessions wait, and so do their agents.
const WAITING: usize = 4096;
/// Most ends in one transaction.
const BATCH: usize = 512;
/// Most bytes of output in one transaction.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The pause after the database could not be reached.
const RETRY: Duration = Duration::from_secs(1);

struct Waiting {
    finish: Finish,
    verdict: oneshot::Sender<Verdict>,
    /// The database refused what was to be recorded; this says so instead.
    is_second_try: bool,
}

/// The handle by which attempts are ended.
#[derive(Clone, Debug)]
pub struct Finishes(mpsc::Sender<Waiting>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.finish.fmt(f)
    }
}

impl Finishes {
    /// Records an end; its verdict once it is committed. None where the process stops first.
    pub async fn finish(&self, finish: Finish) -> Option<Verdict> {
        let (verdict, answer) = oneshot::channel();
        self.0.send(Waiting { finish, verdict, is_second_try: false }).await.ok()?;
        answer.await.ok()
    }

    /// Records ends whose senders do not wait.
    pub async fn finish_all(&self, finishes: impl IntoIterator<Item = Finish>) {
        for finish in finishes {
            let (verdict, _) = oneshot::channel();
            let waiting = Waiting { finish, verdict, is_second_try: false };
            if self.0.send(waiting).await.is_err() {
                return;
            }
        }
    }
}

/// The committer's state.
pub struct Committer {
    store: Store,
    roster: Arc<Roster>,
    wakes: Wakes,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
    metrics: Arc<Metrics>,
    inbox: mpsc::Receiver<Waiting>,
}

impl Committer {
    /// A committer and the handle to it.
    pub fn new(
        store: Store,
        roster: Arc<Roster>,
        wakes: Wakes,
        looks: Arc<Looks>,
        signals: Arc<Signals>,
        metrics: Arc<Metrics>,
    ) -> (Self, Finishes) {
        let (sender, inbox) = mpsc::channel(WAITING);
        (Self { store, roster, wakes, looks, signals, metrics, inbox }, Finishes(sender))
    }

    /// Runs until told to stop; what has arrived by then is still recorded.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                waiting = self.inbox.recv() => waiting,
                () = stop.cancelled() => self.inbox.try_recv().ok(),
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            let mut bytes = weight(&batch[0].finish);
            while batch.len() < BATCH && bytes < BATCH_BYTES {
                let Ok(next) = self.inbox.try_recv() else { break };
                bytes += weight(&next.finish);
                batch.push(next);
            }
            self.record(batch, &stop).await;
        }
    }

    /// Records a batch; halves it where the database refuses it.
    async fn record(&self, batch: Vec<Waiting>, stop: &CancellationToken) {
        let mut left = vec![batch];
        while let Some(mut batch) = left.pop() {
            match self.commit(&batch, stop).await {
                Some(Ok(finished)) => self.conclude(batch, finished),
                Some(Err(error)) if batch.len() > 1 => {
                    warn!(
                        size = batch.len(),
                        error = &error as &dyn std::error::Error,
                        "halving a refused batch"
                    );
                    let second = batch.split_off(batch.len() / 2);
                    left.push(second);
                    left.push(batch);
                }
                Some(Err(error)) => left.extend(self.refused(batch, &error)),
                None => return,
            }
        }
    }

    /// One transaction, for as long as the database cannot be reached. None: told to stop.
    async fn commit(
        &self,
        batch: &[Waiting],
        stop: &CancellationToken,
    ) -> Option<Result<Finished, StoreError>> {
        let finishes: Vec<Finish> = batch.iter().map(|waiting| waiting.finish.clone()).collect();
        loop {
            let started = Instant::now();
            crash::point("finish.begun");
            match self.store.finish(&finishes).await {
                Ok(finished) => {
                    crash::point("finish.done");
                    self.metrics.recorded(finishes.len(), started.elapsed());
                    return Some(Ok(finished));
                }
                Err(error) if error.is_transient() => {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "cannot record results; trying again"
                    );
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = stop.cancelled() => return None,
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn conclude(&self, batch: Vec<Waiting>, finished: Finished) {
        for (waiting, (attempt, verdict)) in batch.into_iter().zip(finished.verdicts) {
            let key = waiting.finish.key;
            debug_assert_eq!(attempt, key.attempt, "verdicts come in the order of the batch");
            if verdict == Verdict::Recorded {
                info!(
                    job.id = %key.job, task.number = %key.task, attempt.id = %key.attempt,
                    outcome = %waiting.finish.outcome, "attempt ended"
                );
                self.metrics.ended(waiting.finish.outcome);
            }
            self.roster.close_attempt(key.session, key.attempt);
            // The sender may have gone; its agent asks again.
            let _ = waiting.verdict.send(verdict);
        }
        for job in &finished.ended {
            info!(job.id = %job, "job ended");
            self.metrics.job_ended();
            self.looks.look_now(*job);
        }
        if finished.due_ms.is_some() {
            self.signals.due.notify_one();
        }
        self.wakes.readied(&finished.ready);
        self.wakes.wake(Wake::Slot);
    }

    /// A single end that the database refuses: the attempt is failed with the database's reason; if
    /// even that is refused, the session is closed, so that the agent comes anew and says it again.
    fn refused(&self, batch: Vec<Waiting>, error: &StoreError) -> Option<Vec<Waiting>> {
        let chain = crate::errors::chain(error);
        let only = batch.into_iter().next()?;
        let key = only.finish.key;
        error!(attempt.id = %key.attempt, error = chain, "the database refuses a result");
        if only.is_second_try {
            self.roster.close(key.session);
            return None;
        }
        let mut bare =
            Finish::bare(key, Outcome::Failed, format!("the result could not be stored: {chain}"));
        bare.is_final = true;
        Some(vec![Waiting { finish: bare, verdict: only.verdict, is_second_try: true }])
    }
}

fn weight(finish: &Finish) -> usize {
    let bytes = |kept: &Option<Vec<u8>>| kept.as_ref().map_or(0, Vec::len);
    let output = finish.result.as_ref().map_or(0, String::len);
    bytes(&finish.results) + bytes(&finish.errors) + output
}
