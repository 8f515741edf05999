//! Jobs that ended long ago are forgotten, in pages.
//!
//! It remembers where it stopped, so that what stays is walked once in a pass. Several coordinators do
//! each other no harm, for a page passes over what another has at hand.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{errors, store::Store};

/// Jobs looked at in one transaction.
const PAGE: i32 = 500;
/// Between two pages, so that users' work goes first.
const BREATH: Duration = Duration::from_millis(200);
/// Between two passes.
const PERIOD: Duration = Duration::from_secs(600);

/// Sweeps until told to stop; `retain` is how long ended jobs stay, none: for ever.
pub async fn run(store: Store, retain: Option<Duration>, stop: CancellationToken) {
    let Some(retain) = retain else { return stop.cancelled().await };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = pass(&store, retain) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn pass(store: &Store, retain: Duration) {
    let mut after = None;
    let mut total = 0;
    loop {
        let purged = match store.purge_finished(retain, PAGE, after).await {
            Ok(purged) => purged,
            Err(error) => {
                error!(error = errors::chain(&error), "cannot forget jobs that ended long ago");
                return;
            }
        };
        total += purged.purged;
        after = purged.last;
        if after.is_none() {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    if total > 0 {
        info!(jobs = total, "jobs that ended long ago are forgotten");
    }
}
