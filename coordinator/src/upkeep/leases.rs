//! Leases of consumers that speak only SQL: whoever let one end is not waited for any more.
//!
//! It knows no agents: theirs is the heart's business. Looking starts at the floors of the lanes; a
//! slow pass every `THOROUGH` looks below them, for what a step of the clock may have put there.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{dispatch::Wakes, errors, signals::Signals, store::Store, watch::Looks};

/// Attempts in one transaction.
const PAGE: i32 = 1000;
/// How often a pass looks below the floors.
const THOROUGH: Duration = Duration::from_secs(30);
/// A lease that ends within this time is waited for here; the beat tells of the others.
const SOON_MS: i64 = 2_500;
/// Leases that end one after the other, or are renewed just before, are looked at this rarely.
const PAUSE: Duration = Duration::from_millis(100);

/// The sweeper's state.
pub struct Leases {
    store: Store,
    wakes: Wakes,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
}

impl Leases {
    /// Nothing ended yet.
    pub fn new(store: Store, wakes: Wakes, looks: Arc<Looks>, signals: Arc<Signals>) -> Self {
        Self { store, wakes, looks, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut thorough = tokio::time::interval(THOROUGH);
        thorough.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next: Option<Instant> = None;
        loop {
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let is_thorough = tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.leases.notified() => false,
                () = timer => false,
                _ = thorough.tick() => true,
            };
            next = self.sweep(is_thorough).await;
        }
    }

    /// Ends every lease that is over; when the next one is, where that is soon.
    async fn sweep(&self, is_thorough: bool) -> Option<Instant> {
        loop {
            let expired = match self.store.expire_leases(PAGE, is_thorough).await {
                Ok(expired) => expired,
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot end the leases that are over");
                    // The beat signals again.
                    return None;
                }
            };
            if expired.expired > 0 {
                info!(attempts = expired.expired, "leases of consumers are over");
            }
            self.wakes.readied(&expired.ready);
            expired.ended.iter().for_each(|job| self.looks.look_now(*job));
            if expired.due_ms.is_some() {
                self.signals.due.notify_one();
            }
            if expired.expired < i64::from(PAGE) {
                // Those that are over and were not ended are in somebody's open transaction.
                let wait = expired.next_ms.filter(|next| (1..SOON_MS).contains(next))?;
                let wait = Duration::from_millis(wait.unsigned_abs()).max(PAUSE);
                return Some(Instant::now() + wait);
            }
        }
    }
}
