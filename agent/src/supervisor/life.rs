//! One attempt beside the desk: accept it on disk, run it, conclude it on disk.
//!
//! Invariant: the desk hears of the end exactly once, also when something in here panics.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use postq_proto::v1;
use postq_runtime::Shutdown;
use tokio::sync::mpsc::Sender;
use tracing::warn;

use crate::{
    attempt::{Place, Ran, Runner, disk, held, lost, released},
    ledger::Ledger,
    stop::StopSignal,
};

/// How long an attempt that comes while the agent leaves is kept.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// What the desk hears of what runs beside it.
#[derive(Debug)]
pub(super) enum Event {
    /// An attempt is on disk.
    Accepted(i64),
    /// An attempt has ended.
    Ended(Ending),
    /// The disk takes no writes; this is why.
    DiskFailed(String),
    /// A probe of the disk has ended, with a problem or none.
    Probed(Option<String>),
}

/// The end of an attempt.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) attempt: i64,
    /// None: nobody wants one.
    pub(super) report: Option<Box<v1::Report>>,
    /// Whether the report is on disk.
    pub(super) is_on_disk: bool,
}

/// An attempt from its acceptance to its conclusion.
pub(super) struct Life {
    pub(super) runner: Runner,
    pub(super) ledger: Ledger,
    pub(super) events: Sender<Event>,
    /// The agent's name.
    pub(super) agent: Arc<str>,
}

impl Life {
    /// Lives it. The assignment was not seen before.
    pub(super) async fn live(self, assignment: v1::Assignment, stop: StopSignal) {
        let attempt = assignment.attempt;
        let of = held(&assignment);
        let end = End::new(of.clone(), &self.events, &self.runner.shutdown);
        if let Err(error) = on_disk(&self.ledger, |ledger| ledger.accept(&assignment)) {
            let why = format!("the assignment could not be kept: {error}");
            return self.release(end, of, why).await;
        }
        self.tell(Event::Accepted(attempt)).await;
        let ran = self.runner.run(&assignment, self.place(attempt), stop).await;
        self.ended(end, of, ran).await;
    }

    /// Lives the rest of one that an earlier life of the agent began.
    pub(super) async fn resume(self, assignment: v1::Assignment, stop: StopSignal) {
        let of = held(&assignment);
        let end = End::new(of.clone(), &self.events, &self.runner.shutdown);
        let place = self.place(assignment.attempt);
        let ran = self.runner.resume(&assignment, place, stop).await;
        self.ended(end, of, ran).await;
    }

    fn place(&self, attempt: i64) -> Place<'_> {
        Place { scratch_dir: self.ledger.scratch_dir(attempt), agent: self.agent.as_ref() }
    }

    async fn ended(&self, mut end: End, of: v1::Held, ran: Ran) {
        match ran {
            Ran::NoDisk(why) => self.release(end, of, why).await,
            Ran::Ended(None) => end.tell(None, false).await,
            Ran::Ended(Some(report)) => {
                let is_on_disk = self.conclude(&report).await;
                end.tell(Some(report), is_on_disk).await;
            }
        }
    }

    /// Gives an attempt back whose command was not begun because our disk failed.
    async fn release(&self, mut end: End, of: v1::Held, why: String) {
        let reason = format!("the disk of the agent fails: {why}");
        self.tell(Event::DiskFailed(why)).await;
        let report = released(of, &reason);
        // Best effort: a restart before it is recorded would tell it as lost.
        let is_on_disk = on_disk(&self.ledger, |ledger| ledger.conclude(end.of.attempt, &report));
        end.tell(Some(Box::new(report)), is_on_disk.is_ok()).await;
    }

    /// Returns whether the report is on disk now.
    async fn conclude(&self, report: &v1::Report) -> bool {
        let attempt = report.of.as_ref().map_or(0, |of| of.attempt);
        let Err(error) = on_disk(&self.ledger, |ledger| ledger.conclude(attempt, report)) else {
            return true;
        };
        // It is still reported from memory; only a restart now would tell it as lost.
        warn!(attempt.id = attempt, %error, "a report cannot be kept on disk");
        self.tell(Event::DiskFailed(format!("a report could not be kept: {error}"))).await;
        false
    }

    async fn tell(&self, event: Event) {
        // The desk is gone only when the process is.
        let _ = self.events.send(event).await;
    }
}

/// Hands back an attempt that came when nothing is begun any more, or not now. Not quite at once:
/// the coordinator, which sees a free slot here, would send the next one as fast as this one goes.
pub(super) async fn refuse(
    of: v1::Held,
    reason: &str,
    mut stop: StopSignal,
    events: Sender<Event>,
) {
    let _ = tokio::time::timeout(REFUSAL_PAUSE, stop.requested()).await;
    let attempt = of.attempt;
    let report = Some(Box::new(released(of, reason)));
    let _ = events.send(Event::Ended(Ending { attempt, report, is_on_disk: false })).await;
}

/// Does what the beginning of an attempt does on disk, and tells how that went.
pub(super) async fn probe(dir: PathBuf, events: Sender<Event>) {
    let probed = tokio::task::spawn_blocking(move || disk::probe(&dir)).await;
    let problem = match probed {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    let _ = events.send(Event::Probed(problem)).await;
}

fn on_disk<T>(ledger: &Ledger, work: impl FnOnce(&Ledger) -> io::Result<T>) -> io::Result<T> {
    tokio::task::block_in_place(|| work(ledger))
}

/// Tells the end, at the latest when it is dropped.
struct End {
    of: v1::Held,
    events: Option<Sender<Event>>,
    shutdown: Shutdown,
}

impl End {
    fn new(of: v1::Held, events: &Sender<Event>, shutdown: &Shutdown) -> Self {
        Self { of, events: Some(events.clone()), shutdown: shutdown.clone() }
    }

    async fn tell(&mut self, report: Option<Box<v1::Report>>, is_on_disk: bool) {
        if let Some(events) = self.events.take() {
            let ending = Ending { attempt: self.of.attempt, report, is_on_disk };
            let _ = events.send(Event::Ended(ending)).await;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(events) = self.events.take() {
            let report = lost(self.of.clone(), "the agent failed while it ran the task");
            let (attempt, report) = (self.of.attempt, Some(Box::new(report)));
            let ending = Ending { attempt, report, is_on_disk: false };
            // The desk may be behind; a drop cannot wait, so somebody else does.
            self.shutdown.spawn("last word", async move {
                let _ = events.send(Event::Ended(ending)).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_also_when_the_desk_is_behind() {
        let (events, mut desk) = mpsc::channel(1);
        events.send(Event::Accepted(6)).await.unwrap();
        let of = v1::Held { attempt: 7, ..v1::Held::default() };
        let end = End::new(of, &events, &Shutdown::new());
        let run = tokio::spawn(async move {
            let _end = end;
            panic!("on purpose");
        });
        assert!(run.await.is_err());
        assert!(matches!(desk.recv().await, Some(Event::Accepted(6))));
        match desk.recv().await {
            Some(Event::Ended(Ending { attempt: 7, report: Some(report), .. })) => {
                assert_eq!(report.outcome(), v1::attempt::Outcome::Lost);
            }
            other => panic!("not its end: {other:?}"),
        }
    }
}
