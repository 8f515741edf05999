//! Tasks whose time has come become ready.
//!
//! It remembers up to which time it has taken, so that dead rows before are not walked again; every
//! `SLOW_PASS` it starts at the beginning, for what committed late.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{dispatch::Wakes, errors, signals::Signals, store::Store};

/// Tasks in one transaction.
const PAGE: i32 = 1000;
/// How often a pass starts at the beginning.
const SLOW_PASS: Duration = Duration::from_secs(2);

/// The sweeper's state.
pub struct Due {
    store: Store,
    wakes: Wakes,
    signals: Arc<Signals>,
    taken_to: Option<DateTime<Utc>>,
    slow_pass: Instant,
}

impl Due {
    /// Nothing taken yet.
    pub fn new(store: Store, wakes: Wakes, signals: Arc<Signals>) -> Self {
        Self { store, wakes, signals, taken_to: None, slow_pass: Instant::now() }
    }

    /// Sweeps until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
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
                () = self.signals.due.notified() => {}
                () = timer => {}
            }
            next = self.sweep().await;
        }
    }

    /// Moves everything that is due; when the next task is.
    async fn sweep(&mut self) -> Option<Instant> {
        loop {
            if self.slow_pass.elapsed() > SLOW_PASS {
                self.taken_to = None;
                self.slow_pass = Instant::now();
            }
            let promoted = match self.store.promote(self.taken_to, PAGE).await {
                Ok(promoted) => promoted,
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot make due tasks ready");
                    // The beat signals again.
                    return None;
                }
            };
            self.wakes.readied(&promoted.ready);
            self.taken_to = promoted.last.or(self.taken_to);
            if promoted.moved < i64::from(PAGE) {
                // Overdue tasks that were not moved belong to jobs that somebody else has at hand.
                let wait = u64::try_from(promoted.due_ms?).unwrap_or(0).max(10);
                return Some(Instant::now() + Duration::from_millis(wait));
            }
        }
    }
}
