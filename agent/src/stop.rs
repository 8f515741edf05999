//! The word to an attempt that it is to end before its time.
//!
//! It may grow sharper but never milder. Invariant: who listens late hears it all the same.

use tokio::sync::watch;

/// Why an attempt is stopped. In order of sharpness.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Somebody asked, for this reason.
    Cancel(String),
    /// The agent is leaving; the task goes back to the queue.
    Release,
    /// As `Release`, without grace.
    ReleaseNow,
    /// No coordinator is heard, and it must not overlap another execution.
    Alone,
    /// Nobody wants the outcome.
    Abandon,
}

impl Stop {
    /// Whether there is no time for the polite signal.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self, Self::ReleaseNow | Self::Alone | Self::Abandon)
    }
}

/// Tells one attempt to stop.
#[derive(Debug)]
pub(crate) struct StopHandle(watch::Sender<Option<Stop>>);

/// Hears it.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal(watch::Receiver<Option<Stop>>);

/// A fresh pair.
pub(crate) fn channel() -> (StopHandle, StopSignal) {
    let (sender, receiver) = watch::channel(None);
    (StopHandle(sender), StopSignal(receiver))
}

impl StopHandle {
    /// Says it; a milder word after a sharper one is not heard.
    pub(crate) fn stop(&self, stop: Stop) {
        self.0.send_if_modified(|current| {
            let is_sharper = match current.as_ref() {
                None => true,
                // The first reason to cancel stays.
                Some(Stop::Cancel(_)) => !matches!(stop, Stop::Cancel(_)),
                Some(current) => stop > *current,
            };
            if is_sharper {
                *current = Some(stop);
            }
            is_sharper
        });
    }
}

impl StopSignal {
    /// Resolves when anything was said; at once if it was before.
    pub(crate) async fn requested(&mut self) -> Stop {
        self.wait_for(|_| true).await
    }

    /// Resolves when there is no time left for grace.
    pub(crate) async fn immediate(&mut self) {
        self.wait_for(Stop::is_immediate).await;
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Stop) -> bool) -> Stop {
        let said = self.0.wait_for(|stop| stop.as_ref().is_some_and(&wanted)).await;
        match said.map(|stop| stop.clone()) {
            Ok(Some(stop)) => stop,
            // Nobody is left who could say anything.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_grows_sharper_and_never_milder() {
        let (handle, mut signal) = channel();
        handle.stop(Stop::Cancel("first".into()));
        handle.stop(Stop::Cancel("second".into()));
        assert_eq!(signal.requested().await, Stop::Cancel("first".into()));
        handle.stop(Stop::Abandon);
        handle.stop(Stop::Release);
        assert_eq!(signal.requested().await, Stop::Abandon);
        signal.immediate().await;
    }
}
