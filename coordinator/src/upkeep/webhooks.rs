//! Webhooks are told of the end of jobs: what the transition that ended a job wrote is sent, until it has
//! arrived or was given up.
//!
//! At least once: who dies between the answer and its note leaves it to be sent again. A host that is slow
//! or gone keeps few of the places, so others do not wait for it; nothing else waits for any of this.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use postq_common::webhook;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{
    errors,
    metrics::Metrics,
    signals::Signals,
    store::{Delivery, Store, Taking},
    webhook::{
        Sender,
        post::{Undelivered, told},
    },
};

/// Sent at a time: each waits for somebody else's server.
const AT_ONCE: usize = 32;
/// To one origin in one look; while so many are on their way it gets no more.
const EACH: usize = 4;
/// Longer than a request may take: whoever has one and dies keeps others from it for so long.
const LEASE: Duration = Duration::from_secs(60);
/// How often a look starts at the beginning.
const SLOW_PASS: Duration = Duration::from_secs(10);
/// The longest rest of a host that does not answer, whatever the pauses of what is for it.
const REST: Duration = Duration::from_secs(60);

/// The service's state.
pub struct Webhooks {
    store: Store,
    sender: Sender,
    signals: Arc<Signals>,
    metrics: Arc<Metrics>,
    looked_to: Option<DateTime<Utc>>,
    slow_pass: Instant,
    /// How many are on their way to each origin.
    going: HashMap<String, usize>,
    /// Origins that did not answer, and until when nothing is sent there.
    resting: HashMap<String, Instant>,
}

/// One that was sent, or not.
type Done = (Delivery, Result<(), Undelivered>);

impl Webhooks {
    /// Nothing sent yet.
    pub fn new(store: Store, sender: Sender, signals: Arc<Signals>, metrics: Arc<Metrics>) -> Self {
        let (going, resting) = Default::default();
        let (looked_to, slow_pass) = (None, Instant::now());
        Self { store, sender, signals, metrics, looked_to, slow_pass, going, resting }
    }

    /// Sends until told to stop; what is on its way then is sent again by others.
    pub async fn run(mut self, stop: CancellationToken) {
        let signals = Arc::clone(&self.signals);
        let mut sending: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        loop {
            for delivery in self.take(AT_ONCE - sending.len()).await {
                *self.going.entry(delivery.origin.clone()).or_default() += 1;
                let sender = self.sender.clone();
                sending.push(Box::pin(async move {
                    let sent = sender.send(&delivery).await;
                    (delivery, sent)
                }));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                Some((delivery, sent)) = sending.next() => self.settle(&delivery, sent).await,
                () = signals.deliveries.notified() => {}
            }
        }
    }

    /// What is to be sent now, at most `limit`.
    async fn take(&mut self, limit: usize) -> Vec<Delivery> {
        if limit == 0 {
            return Vec::new();
        }
        if self.slow_pass.elapsed() > SLOW_PASS {
            (self.looked_to, self.slow_pass) = (None, Instant::now());
        }
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let full = self.going.iter().filter(|(_, n)| **n >= EACH).map(|(origin, _)| origin);
        let busy: HashSet<String> = full.chain(self.resting.keys()).cloned().collect();
        let busy: Vec<String> = busy.into_iter().collect();
        let taking = Taking { after: self.looked_to, limit, each: EACH, busy: &busy, lease: LEASE };
        match self.store.take_deliveries(&taking).await {
            Ok(taken) => {
                // What is busy stays behind, or was too much at once: the next look begins before it.
                if busy.is_empty() && taken.len() < limit && !has_full(&taken) {
                    self.looked_to = taken.iter().map(|one| one.due_at).max().or(self.looked_to);
                }
                taken
            }
            Err(error) => {
                error!(error = errors::chain(&error), "cannot look for webhooks to be told");
                // The beat signals again.
                Vec::new()
            }
        }
    }

    async fn settle(&mut self, delivery: &Delivery, sent: Result<(), Undelivered>) {
        if let Some(going) = self.going.get_mut(&delivery.origin) {
            *going -= 1;
            if *going == 0 {
                self.going.remove(&delivery.origin);
            }
        }
        self.metrics.webhook_sent(sent.is_ok());
        let noted = match sent {
            Ok(()) => {
                debug!(job.id = %delivery.job, url = delivery.url, "webhook told");
                self.store.settle_delivery(delivery, None).await
            }
            Err(why) => self.failed(delivery, &why).await,
        };
        if let Err(error) = noted {
            error!(job.id = %delivery.job, error = errors::chain(&error), "cannot note how a webhook went");
        }
    }

    async fn failed(
        &mut self,
        delivery: &Delivery,
        why: &Undelivered,
    ) -> Result<(), crate::store::StoreError> {
        let nth = u32::try_from(delivery.attempts).unwrap_or(0) + 1;
        let pause = webhook::pause(nth, rand::random());
        if why.is_of_host() {
            let rest = pause.unwrap_or(REST).min(REST);
            self.resting.insert(delivery.origin.clone(), Instant::now() + rest);
        }
        let why = told(why);
        warn!(job.id = %delivery.job, url = delivery.url, attempt = nth, ?pause, error = why, "webhook not told");
        self.store.settle_delivery(delivery, Some((&why, pause))).await
    }
}

/// Whether some origin may have more to be sent than was taken.
fn has_full(taken: &[Delivery]) -> bool {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for delivery in taken {
        *counts.entry(&delivery.origin).or_default() += 1;
    }
    counts.values().any(|count| *count >= EACH)
}
