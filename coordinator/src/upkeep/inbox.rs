//! What users' transactions asked for, and what follows from what they did, is applied after their
//! commit. Where one holds a part of the job, it is for a later pass.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{dispatch::Wakes, errors, signals::Signals, store::Store, watch::Looks};

/// Requests in one transaction.
const PAGE: i32 = 100;

/// The sweeper's state.
pub struct Inbox {
    store: Store,
    wakes: Wakes,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
}

impl Inbox {
    /// Nothing applied yet.
    pub fn new(store: Store, wakes: Wakes, looks: Arc<Looks>, signals: Arc<Signals>) -> Self {
        Self { store, wakes, looks, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.inbox.notified() => {}
            }
            self.sweep().await;
        }
    }

    /// Every pass starts at the beginning: requests are few, and one that committed late is found.
    async fn sweep(&self) {
        let mut after = 0;
        loop {
            match self.store.apply_inbox(after, PAGE).await {
                Ok(applied) => {
                    self.wakes.readied(&applied.ready);
                    applied.ended.iter().for_each(|job| self.looks.look_now(*job));
                    self.signals.cancels.notify_one();
                    after = applied.last;
                    if applied.applied < i64::from(PAGE) {
                        return;
                    }
                }
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot apply what users asked for");
                    return;
                }
            }
        }
    }
}
