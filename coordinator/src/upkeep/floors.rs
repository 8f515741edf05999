//! Floors follow the tasks that were taken, so that a safety pass does not walk what is gone.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{errors, store::Store};

/// A floor moves in two steps, so within twice this.
const PERIOD: Duration = Duration::from_secs(15);

/// Moves floors until told to stop.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        if let Err(error) = store.sweep_lanes().await {
            error!(error = errors::chain(&error), "cannot move the floors of the lanes");
        }
    }
}
