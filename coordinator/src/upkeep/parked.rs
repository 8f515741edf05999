//! Tasks that wait for a concurrency key or a rate get their slots: those that came or were set free in
//! a user's transaction, those of a rate when their time has come, and, by a slow pass, whatever
//! committed while others looked. (What an agent's report sets free is handed on with it.)

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{dispatch::Wakes, errors, signals::Signals, store::Store};

/// Keys in one transaction.
const PAGE: i32 = 200;
/// A rate that is waited for longer than this is looked at by a later beat.
const SOON_MS: i64 = 2_500;

/// The sweeper's state.
pub struct Parked {
    store: Store,
    wakes: Wakes,
    signals: Arc<Signals>,
}

impl Parked {
    /// Nothing looked at yet.
    pub fn new(store: Store, wakes: Wakes, signals: Arc<Signals>) -> Self {
        Self { store, wakes, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut next: Option<Instant> = None;
        loop {
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.parked.notified() => {}
                () = timer => {}
            }
            next = self.sweep().await;
        }
    }

    /// One pass over all that is parked; when the first slot of a rate is free again.
    async fn sweep(&self) -> Option<Instant> {
        let mut after = String::new();
        let mut soonest: Option<i64> = None;
        loop {
            let granted = match self.store.grant_parked(&after, PAGE).await {
                Ok(granted) => granted,
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot look at what is parked");
                    // The beat signals again.
                    return None;
                }
            };
            self.wakes.readied(&granted.ready);
            soonest = soonest.into_iter().chain(granted.next_ms).min();
            match granted.last {
                Some(last) => after = last,
                None => break,
            }
        }
        let wait = soonest.filter(|wait| *wait < SOON_MS)?;
        Some(Instant::now() + Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(5)))
    }
}
