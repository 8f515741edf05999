//! Jobs that were not started, or have not ended, in time.
//!
//! It remembers up to which time it has looked, so that dead rows before are not walked again; every
//! `SLOW_PASS` it starts at the beginning, for what committed late and for what somebody had at hand.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{errors, signals::Signals, store::Store, watch::Looks};

/// Deadlines in one transaction.
const PAGE: i32 = 100;
/// How often a pass starts at the beginning.
const SLOW_PASS: Duration = Duration::from_secs(2);
/// A deadline that passes within this time is waited for here; the beat tells of the others.
const SOON_MS: i64 = 2_500;

/// The sweeper's state.
pub struct Deadlines {
    store: Store,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
    looked_to: Option<DateTime<Utc>>,
    slow_pass: Instant,
}

impl Deadlines {
    /// Nothing looked at yet.
    pub fn new(store: Store, looks: Arc<Looks>, signals: Arc<Signals>) -> Self {
        Self { store, looks, signals, looked_to: None, slow_pass: Instant::now() }
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
                () = self.signals.deadlines.notified() => {}
                () = timer => {}
            }
            next = self.sweep().await;
        }
    }

    /// Applies every deadline that has passed; when the next one does, where that is soon.
    async fn sweep(&mut self) -> Option<Instant> {
        if self.slow_pass.elapsed() > SLOW_PASS {
            self.looked_to = None;
            self.slow_pass = Instant::now();
        }
        loop {
            let overdue = match self.store.apply_deadlines(self.looked_to, PAGE).await {
                Ok(overdue) => overdue,
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot end jobs whose time is over");
                    // The beat signals again.
                    return None;
                }
            };
            if overdue.applied > 0 {
                info!(deadlines = overdue.applied, jobs = overdue.ended.len(), "deadlines passed");
                self.signals.cancels.notify_one();
            }
            overdue.ended.iter().for_each(|job| self.looks.look_now(*job));
            self.looked_to = overdue.last.or(self.looked_to);
            // A page of what was left would be looked at for ever.
            if overdue.looked < i64::from(PAGE) || overdue.applied == 0 {
                let wait = overdue.next_ms.filter(|next| *next < SOON_MS)?;
                let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(1));
                return Some(Instant::now() + wait);
            }
        }
    }
}
