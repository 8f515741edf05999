//! Jobs that ended long ago, or of which their queue keeps only so many, are forgotten, in pages.
//!
//! It remembers where it stopped, so that what stays is walked once in a pass. Several coordinators do
//! each other no harm, for a page passes over what another has at hand.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    errors,
    store::{Purged, Store, StoreError},
};

/// Jobs looked at in one transaction.
const PAGE: i32 = 500;
/// Between two pages, so that users' work goes first.
const BREATH: Duration = Duration::from_millis(200);
/// Between two passes.
const PERIOD: Duration = Duration::from_secs(600);

/// Sweeps until told to stop; `retain` is how long ended jobs stay of queues that do not say it
/// themselves, none: for ever.
pub async fn run(store: Store, retain: Option<Duration>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            done = pass(&store, retain) => match done {
                Ok(0) => {}
                Ok(jobs) => info!(jobs, "jobs that have ended are forgotten"),
                Err(error) => error!(error = errors::chain(&error), "cannot forget jobs that have ended"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn pass(store: &Store, retain: Option<Duration>) -> Result<i64, StoreError> {
    let mut total = 0;
    if let Some(retain) = retain {
        let page = async |before: Purged| store.purge_finished(retain, PAGE, before.last).await;
        total += pages(page).await?;
    }
    for queue in store.retaining_queues().await? {
        let page = async |before: Purged| store.purge_queue(&queue, PAGE, &before).await;
        total += pages(page).await?;
    }
    Ok(total)
}

/// Page after page until there are no more; how many jobs are gone.
async fn pages(
    page: impl AsyncFn(Purged) -> Result<Purged, StoreError>,
) -> Result<i64, StoreError> {
    let mut total = 0;
    let mut before = Purged::default();
    loop {
        let purged = page(before).await?;
        total += purged.purged;
        if purged.last.is_none() {
            return Ok(total);
        }
        before = purged;
        tokio::time::sleep(BREATH).await;
    }
}
