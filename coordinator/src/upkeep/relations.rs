//! Unique keys that nobody holds any more are forgotten, jobs that wait for jobs look again where an end has
//! passed them by, and queues that got a limit count what had begun. All are rare, and nobody waits for it.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    errors,
    store::{Store, StoreError},
};

/// The time between two passes.
const PERIOD: Duration = Duration::from_secs(20);
/// Rows in one transaction.
const PAGE: i32 = 1000;

/// Sweeps until told to stop.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            swept = sweep(&store) => if let Err(error) = swept {
                error!(error = errors::chain(&error), "cannot look after keys, jobs that wait for jobs and limits");
            }
        }
    }
}

/// One pass over all keys and all that wait, page by page, and over the limits.
async fn sweep(store: &Store) -> Result<(), StoreError> {
    let mut last = Some(Default::default());
    while let Some(after) = last {
        last = store.sweep_keys(&after, PAGE).await?;
    }
    let mut last = Some(Default::default());
    while let Some(after) = last {
        last = store.sweep_waits(after, PAGE).await?;
    }
    store.sweep_limits(PAGE).await
}
