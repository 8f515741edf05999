//! Gates with too many dependants for one transaction release them in pages.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{dispatch::Wakes, errors, signals::Signals, store::Store, watch::Looks};

/// Gates in one transaction; each releases at most a page of its dependants.
const PAGE: i32 = 100;

/// The sweeper's state.
pub struct Openings {
    store: Store,
    wakes: Wakes,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
}

impl Openings {
    /// Nothing released yet.
    pub fn new(store: Store, wakes: Wakes, looks: Arc<Looks>, signals: Arc<Signals>) -> Self {
        Self { store, wakes, looks, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.openings.notified() => {}
            }
            while !stop.is_cancelled() && self.page().await {}
        }
    }

    /// One page; true where there may be more.
    async fn page(&self) -> bool {
        match self.store.release_opening(PAGE).await {
            Ok(opened) => {
                self.wakes.readied(&opened.ready);
                opened.ended.iter().for_each(|job| self.looks.look_now(*job));
                opened.gates > 0
            }
            Err(error) => {
                error!(
                    error = errors::chain(&error),
                    "cannot release the dependants of a wide gate"
                );
                false
            }
        }
    }
}
