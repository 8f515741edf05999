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
        total += by_age(store, retain).await?;
    }
    for queue in store.retaining_queues().await? {
        total += of_queue(store, &queue).await?;
    }
    Ok(total)
}

/// Jobs of queues that say nothing themselves; how many are gone.
async fn by_age(store: &Store, retain: Duration) -> Result<i64, StoreError> {
    let (mut total, mut after) = (0, None);
    loop {
        let page = store.purge_finished(retain, PAGE, after).await?;
        total += page.purged;
        after = page.last;
        if after.is_none() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Jobs of a queue that says how long or how many of them stay; how many are gone.
async fn of_queue(store: &Store, queue: &str) -> Result<i64, StoreError> {
    let (mut total, mut before) = (0, Purged::default());
    loop {
        let page = store.purge_queue(queue, PAGE, &before).await?;
        total += page.purged;
        if page.last.is_none() {
            return Ok(total);
        }
        before = page;
        tokio::time::sleep(BREATH).await;
    }
}
