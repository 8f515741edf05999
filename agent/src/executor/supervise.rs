//! The run of a started task against its timeout and whoever wants it stopped: the polite signal,
//! its grace, the certain one.
//!
//! Invariant: it returns only when the task has ended, and tells who ended it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::task::{Ended, Running};
use crate::stop::{Stop, StopSignal};

/// The times of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest run; none means no limit.
    pub(crate) timeout: Option<Duration>,
    /// From the polite signal to the certain one.
    pub(crate) grace: Duration,
}

/// Who ended a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It did itself.
    Itself,
    /// Its timeout.
    TimedOut,
    /// Somebody asked.
    Stopped(Stop),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) ended: Ended,
    pub(crate) cause: Cause,
    pub(crate) ran_for: Duration,
}

/// Waits for the end of the task, and brings it about where it must be. `unbounded` is cancelled
/// when the task is being stopped.
pub(crate) async fn supervise(
    running: Running,
    limits: Limits,
    stop: &mut StopSignal,
    unbounded: &CancellationToken,
) -> Finished {
    let Running { control, mut ended } = running;
    let started = Instant::now();
    let finished = |ended, cause| Finished { ended, cause, ran_for: started.elapsed() };
    let cause = tokio::select! {
        biased; // an end that came first counts
        ended = &mut ended => return finished(ended, Cause::Itself),
        stop = stop.requested() => Cause::Stopped(stop),
        () = sleep_or_never(limits.timeout) => Cause::TimedOut,
    };
    unbounded.cancel();
    if !matches!(&cause, Cause::Stopped(stop) if stop.is_immediate()) {
        control.terminate().await;
        tokio::select! {
            biased;
            ended = &mut ended => return finished(ended, cause),
            () = tokio::time::sleep(limits.grace) => {}
            () = stop.immediate() => {}
        }
    }
    control.kill().await;
    finished(ended.await, cause)
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
