//! The only place that spawns: every task is named, and tracked and told when to stop but where it says
//! that nobody waits for it.
//!
//! It knows nothing of what the tasks do. Invariant: once [`Shutdown::begin`] was called, every
//! tracked task has been told, and [`Shutdown::wait`] returns when the last one has ended.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, debug, error, info, info_span, warn};

/// The cancellation and the tracking of everything a process runs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// A process that has not been told to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Resolves (`token.cancelled()`) when the process is to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A part of the process that may be stopped alone; stopping the whole stops it too, and
    /// waiting for the whole waits for it.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), tracker: self.tracker.clone() }
    }

    /// Whether the process has been told to stop.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Tells every task to stop.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Runs `future` as a task; a panic is logged with the task's name.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(caught(name, future).instrument(info_span!("task", task = name)));
    }

    /// As [`Shutdown::spawn`], for a task the process cannot do without: when it ends or panics
    /// before the process was told to stop, the process stops.
    pub fn spawn_critical<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        let watched = async move {
            caught(name, future).await;
            if !token.is_cancelled() {
                error!(task = name, "a task that must not end has ended; stopping the process");
                token.cancel();
            }
        };
        self.tracker.spawn(watched.instrument(info_span!("task", task = name)));
    }

    /// Begins the stop at the first SIGTERM or SIGINT. Fails where no handler can be installed.
    pub fn begin_on_signal(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let this = self.clone();
        self.spawn("signals", async move {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM received; stopping"),
                _ = interrupt.recv() => info!("SIGINT received; stopping"),
                () = this.token.cancelled() => {}
            }
            this.begin();
        });
        Ok(())
    }

    /// Waits until every task has ended, at most `grace`. Returns whether all have.
    pub async fn wait(&self, grace: Duration) -> bool {
        self.tracker.close();
        let ended = tokio::time::timeout(grace, self.tracker.wait()).await.is_ok();
        if !ended {
            warn!(left = self.tracker.len(), "some tasks did not end within the grace");
        }
        ended
    }
}

/// Runs `future` as a task that nobody stops or waits for, until it or the process has ended; a panic is
/// logged with the task's name.
pub fn spawn_alone<F>(name: &'static str, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(caught(name, future).instrument(info_span!("task", task = name)));
}

async fn caught<F: Future<Output = ()>>(name: &'static str, future: F) {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(()) => debug!(task = name, "task ended"),
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            error!(task = name, panic = message, "task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_critical_task_that_panics_stops_the_process() {
        let shutdown = Shutdown::new();
        shutdown.spawn_critical("doomed", async { panic!("on purpose") });
        shutdown.token().cancelled().await;
        assert!(shutdown.wait(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn waiting_for_the_whole_waits_for_a_child() {
        let shutdown = Shutdown::new();
        let child = shutdown.child();
        let token = child.token();
        child.spawn("child", async move { token.cancelled().await });
        shutdown.begin();
        assert!(shutdown.wait(Duration::from_secs(5)).await);
    }
}
