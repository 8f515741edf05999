//! What no connected agent could run says so: the reason is noted with the lane of such tasks, where everybody
//! who reads a task finds it.
//!
//! By signal, when an agent comes or goes here or a lane is new; by period, for what other coordinators see.

use std::{sync::Arc, time::Duration};

use postq_common::{id::LaneId, waiting::why_waiting};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    errors,
    signals::Signals,
    store::{Store, StoreError},
};

/// What came or went elsewhere is seen after this.
const PERIOD: Duration = Duration::from_secs(5);

/// Looks until told to stop.
pub async fn run(store: Store, signals: Arc<Signals>, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = signals.waiting.notified() => {}
            _ = period.tick() => {}
        }
        if let Err(error) = sweep(&store).await {
            error!(error = errors::chain(&error), "cannot note what tasks wait for");
        }
    }
}

async fn sweep(store: &Store) -> Result<(), StoreError> {
    let lanes = store.waiting().await?;
    if lanes.is_empty() {
        return Ok(());
    }
    let agents = store.abilities().await?;
    let changed: Vec<(LaneId, Option<String>)> = lanes
        .into_iter()
        .filter_map(|lane| {
            let waiting = why_waiting(&lane.kind, &agents);
            (waiting != lane.waiting).then_some((lane.lane, waiting))
        })
        .collect();
    if !changed.is_empty() {
        store.note_waiting(&changed).await?;
    }
    Ok(())
}
