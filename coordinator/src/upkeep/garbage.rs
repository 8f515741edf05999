//! Files that nobody needs any more: the snapshots of ended jobs are thinned out, then what no
//! snapshot holds is collected.
//!
//! A succeeded job keeps what it left as a whole; a failed one keeps all, for those who look into it
//! and for its repetition. The job may say otherwise, and what of its files stays for good.

use std::time::Duration;

use postq_common::id::JobId;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};
use uuid::Uuid;

use super::artifacts::Keeper;
use crate::{
    errors,
    store::{Store, StoreError, Untrimmed},
    workspace::Garbage,
};

/// How often a coordinator looks, and within which time not two of them collect.
const PERIOD: Duration = Duration::from_mins(10);
const COLLECTION: Duration = Duration::from_hours(1);

/// Jobs at a time.
const PAGE: i64 = 100;

/// Collects until told to stop.
pub async fn run(store: Store, garbage: Garbage, keeper: Keeper, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        let pass = async {
            if let Err(error) = trim(&store, &keeper).await {
                error!(error = errors::chain(&error), "cannot drop the files of ended jobs");
            }
            if let Err(error) = garbage.collect(COLLECTION).await {
                error!(error = errors::chain(&error), "cannot collect garbage");
            }
        };
        // Whatever is left over, the next pass finds.
        tokio::select! {
            () = stop.cancelled() => return,
            () = pass => {}
        }
    }
}

/// Notes the artifacts of ended jobs and drops the snapshots that they need no more; how many.
pub async fn trim(store: &Store, keeper: &Keeper) -> Result<i64, StoreError> {
    let (mut after, mut dropped) = (Uuid::nil(), 0);
    loop {
        let page = store.untrimmed_jobs(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(dropped) };
        after = last.job;
        for job in page.iter().filter(|job| !is_open(job)) {
            dropped += trim_job(store, keeper, job).await?;
        }
    }
}

fn is_open(job: &Untrimmed) -> bool {
    matches!(job.state.as_str(), "scheduled" | "queued" | "running")
}

async fn trim_job(store: &Store, keeper: &Keeper, of: &Untrimmed) -> Result<i64, StoreError> {
    let job = JobId(of.job);
    if !of.artifacts.is_empty()
        && let Err(error) = keeper.keep(job, &of.artifacts).await
    {
        error!(job.id = %job, error = errors::chain(&error), "cannot keep artifacts yet");
        return Ok(0);
    }
    // A job of one task is stored as it was written, and an enum may be a number.
    let keeps_all = match (of.keep.as_deref(), of.state.as_str()) {
        (Some("ALWAYS" | "1"), _) => true,
        (Some("NEVER" | "2"), _) | (_, "succeeded") => false,
        _ => true,
    };
    if keeps_all {
        // Nothing is to be decided again.
        return store.keep_snapshots(job).await.map(|()| 0);
    }
    let last = store.sinks(job).await?;
    let kept: Vec<i32> = store.left_by(job, &last).await?.iter().map(|(n, _)| *n).collect();
    let dropped = store.trim_snapshots(job, &kept).await?;
    debug!(job.id = %job, dropped, "intermediate files dropped");
    Ok(dropped)
}
