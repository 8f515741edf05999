//! One attempt beside the desk: accept it on disk, run it, conclude it on disk.
//!
//! Invariant: the desk hears of the end exactly once, also when something in here panics.

use std::time::Duration;

use postq_proto::v1;
use tokio::sync::mpsc::Sender;
use tracing::{error, warn};

use crate::{
    attempt::{Runner, held, lost, released},
    ledger::Ledger,
    stop::StopSignal,
};

/// How long an attempt that comes while the agent leaves is kept.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// What the desk hears of an attempt.
#[derive(Debug)]
pub(super) enum Event {
    /// It is on disk.
    Accepted(i64),
    /// It has ended; none: nobody wants a report.
    Ended(i64, Option<Box<v1::Report>>),
}

/// An attempt from its acceptance to its conclusion.
pub(super) struct Life {
    pub(super) runner: Runner,
    pub(super) ledger: Ledger,
    pub(super) events: Sender<Event>,
}

impl Life {
    /// Lives it. The assignment was not seen before.
    pub(super) async fn live(self, assignment: v1::Assignment, stop: StopSignal) {
        let attempt = assignment.attempt;
        let mut end = End { attempt, of: held(&assignment), events: Some(self.events.clone()) };
        if let Err(error) = on_disk(&self.ledger, |ledger| ledger.accept(&assignment)) {
            error!(attempt.id = attempt, %error, "an assignment cannot be kept on disk");
            let reason = format!("the agent cannot write its work directory: {error}");
            return end.tell(Some(lost(held(&assignment), &reason))).await;
        }
        // The desk is gone only when the process is.
        let _ = self.events.send(Event::Accepted(attempt)).await;
        let scratch_dir = self.ledger.scratch_dir(attempt);
        let report = self.runner.run(&assignment, scratch_dir, stop).await;
        if let Some(report) = &report
            && let Err(error) = on_disk(&self.ledger, |ledger| ledger.conclude(attempt, report))
        {
            // It is still reported from memory; only a restart now would tell it as lost.
            warn!(attempt.id = attempt, %error, "a report cannot be kept on disk");
        }
        end.tell(report).await;
    }
}

/// Hands back an attempt that came too late, not quite at once: the coordinator, which sees a free
/// slot here, would send the next one as fast as this one goes.
pub(super) async fn refuse(of: v1::Held, mut stop: StopSignal, events: Sender<Event>) {
    let _ = tokio::time::timeout(REFUSAL_PAUSE, stop.requested()).await;
    let attempt = of.attempt;
    let report = Box::new(released(of, "the agent is stopping"));
    let _ = events.send(Event::Ended(attempt, Some(report))).await;
}

fn on_disk<T>(
    ledger: &Ledger,
    work: impl FnOnce(&Ledger) -> std::io::Result<T>,
) -> std::io::Result<T> {
    tokio::task::block_in_place(|| work(ledger))
}

/// Tells the end, at the latest when it is dropped.
struct End {
    attempt: i64,
    of: v1::Held,
    events: Option<Sender<Event>>,
}

impl End {
    async fn tell(&mut self, report: Option<v1::Report>) {
        if let Some(events) = self.events.take() {
            let _ = events.send(Event::Ended(self.attempt, report.map(Box::new))).await;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(events) = self.events.take() {
            let report = lost(self.of.clone(), "the agent failed while it ran the task");
            let _ = events.try_send(Event::Ended(self.attempt, Some(Box::new(report))));
        }
    }
}
