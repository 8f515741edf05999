//! How the end of a task reads in a report. Pure.

use std::time::Duration;

use nix::sys::signal::Signal;
use postq_proto::v1::{self, attempt::Outcome};

use crate::{
    executor::{Cause, Ended, Finished},
    stop::Stop,
    workspace::Effort,
};

/// Names the attempt of an assignment.
pub(crate) fn held(assignment: &v1::Assignment) -> v1::Held {
    v1::Held {
        attempt: assignment.attempt,
        job_id: assignment.job_id.clone(),
        task: assignment.task,
    }
}

/// The report of an attempt that never ran here and goes back uncounted.
pub(crate) fn released(of: v1::Held, reason: &str) -> v1::Report {
    bare(of, Outcome::Released, reason)
}

/// The report of an attempt that this agent lost.
pub(crate) fn lost(of: v1::Held, reason: &str) -> v1::Report {
    bare(of, Outcome::Lost, reason)
}

fn bare(of: v1::Held, outcome: Outcome, reason: &str) -> v1::Report {
    v1::Report {
        of: Some(of),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        ..v1::Report::default()
    }
}

/// The report of a run, without output and files. None: nobody wants one. `timeout` is for the
/// reason only.
pub(crate) fn judge(
    of: v1::Held,
    finished: &Finished,
    timeout: Option<Duration>,
) -> Option<v1::Report> {
    let (mut outcome, mut reason) = by_itself(&finished.ended);
    match &finished.cause {
        Cause::Itself => {}
        Cause::TimedOut => {
            let limit = humantime::format_duration(timeout.unwrap_or_default());
            (outcome, reason) =
                (Outcome::TimedOut, format!("ran longer than its timeout of {limit}"));
        }
        Cause::Stopped(Stop::Cancel(why)) => {
            outcome = Outcome::Cancelled;
            reason = if why.is_empty() { "cancelled".to_owned() } else { why.clone() };
        }
        Cause::Stopped(Stop::Release | Stop::ReleaseNow) => {
            (outcome, reason) = (Outcome::Released, "the agent is stopping".to_owned());
        }
        Cause::Stopped(Stop::Alone) => {
            let why = "its agent heard no coordinator, and it must not overlap another execution";
            (outcome, reason) = (Outcome::Released, why.to_owned());
        }
        Cause::Stopped(Stop::Abandon) => return None,
    }
    let mut report = bare(of, outcome, &reason);
    match finished.ended {
        Ended::Exited { code, .. } => report.exit_code = Some(code),
        Ended::Signalled(signal) => report.signal = Some(signal),
        Ended::NotStarted { is_final, .. } => {
            report.is_final = is_final && outcome == Outcome::Failed;
        }
        Ended::Unknown(_) => {}
    }
    report.ran_for = to_proto(finished.ran_for);
    Some(report)
}

fn by_itself(ended: &Ended) -> (Outcome, String) {
    match ended {
        Ended::Exited { code: 0, .. } => (Outcome::Succeeded, String::new()),
        Ended::Exited { code, note } if note.is_empty() => {
            (Outcome::Failed, format!("exit code {code}{}", after_signal(*code)))
        }
        Ended::Exited { code, note } => (Outcome::Failed, format!("exit code {code}: {note}")),
        Ended::Signalled(signal) => (Outcome::Failed, format!("killed by {}", name_of(*signal))),
        Ended::NotStarted { why, .. } | Ended::Unknown(why) => (Outcome::Failed, why.clone()),
    }
}

/// Shells and engines tell by 128 and its number that a signal has ended what they ran. A program may also give such
/// a code itself, so that it stays a code.
fn after_signal(code: i32) -> String {
    let signal = Signal::try_from(code.saturating_sub(128));
    signal.map_or_else(|_| String::new(), |signal| format!(", as after {signal}"))
}

fn name_of(signal: i32) -> String {
    Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

fn to_proto(duration: Duration) -> Option<pbjson_types::Duration> {
    Some(pbjson_types::Duration {
        seconds: i64::try_from(duration.as_secs()).ok()?,
        nanos: i32::try_from(duration.subsec_nanos()).ok()?,
    })
}

/// What files took, for the wire.
pub(crate) fn effort(effort: &Effort) -> v1::Effort {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    v1::Effort {
        entries: count(effort.entries),
        bytes: count(effort.bytes),
        hashed_bytes: count(effort.hashed_bytes),
        sent_bytes: count(effort.sent_bytes),
        saved_bytes: count(effort.saved_bytes),
        received_bytes: count(effort.received_bytes),
        local_bytes: count(effort.local_bytes),
        direct_bytes: count(effort.direct_bytes),
        checkout: to_proto(effort.checkout),
        scan: to_proto(effort.scan),
        upload: to_proto(effort.upload),
    }
}

/// A duration from the wire; none where it is absent, not positive or senseless.
pub(crate) fn from_proto(duration: Option<&pbjson_types::Duration>) -> Option<Duration> {
    let duration = duration?;
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok()?;
    Some(Duration::new(seconds, nanos)).filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ended: Ended, cause: Cause) -> Option<v1::Report> {
        let finished = Finished { ended, cause, ran_for: Duration::from_millis(1500) };
        judge(v1::Held::default(), &finished, Some(Duration::from_secs(90)))
    }

    fn exited(code: i32) -> Ended {
        Ended::Exited { code, note: String::new() }
    }

    #[test]
    fn every_end_has_its_outcome_and_its_reason() {
        let cancel = Cause::Stopped(Stop::Cancel("asked for".into()));
        let final_start = Ended::NotStarted { why: "no such image".into(), is_final: true };
        for (ended, cause, outcome, reason) in [
            (exited(0), Cause::Itself, Outcome::Succeeded, ""),
            (exited(3), Cause::Itself, Outcome::Failed, "exit code 3"),
            (exited(137), Cause::Itself, Outcome::Failed, "exit code 137, as after SIGKILL"),
            (exited(128), Cause::Itself, Outcome::Failed, "exit code 128"),
            (exited(255), Cause::Itself, Outcome::Failed, "exit code 255"),
            (Ended::Signalled(9), Cause::Itself, Outcome::Failed, "killed by SIGKILL"),
            (Ended::Signalled(40), Cause::Itself, Outcome::Failed, "killed by signal 40"),
            (final_start, Cause::Itself, Outcome::Failed, "no such image"),
            (
                Ended::Signalled(15),
                Cause::TimedOut,
                Outcome::TimedOut,
                "ran longer than its timeout of 1m 30s",
            ),
            (exited(0), cancel, Outcome::Cancelled, "asked for"),
            (
                exited(143),
                Cause::Stopped(Stop::Release),
                Outcome::Released,
                "the agent is stopping",
            ),
        ] {
            let report = report(ended, cause).unwrap();
            assert_eq!((report.outcome(), report.reason.as_str()), (outcome, reason));
        }
    }

    #[test]
    fn code_signal_and_duration_are_told_as_they_are() {
        let killed = report(Ended::Signalled(9), Cause::Itself).unwrap();
        assert_eq!((killed.exit_code, killed.signal), (None, Some(9)));
        let failed = report(exited(3), Cause::TimedOut).unwrap();
        assert_eq!((failed.exit_code, failed.signal), (Some(3), None));
        assert_eq!(from_proto(failed.ran_for.as_ref()), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn nobody_is_told_of_an_abandoned_attempt() {
        assert_eq!(report(exited(0), Cause::Stopped(Stop::Abandon)), None);
    }
}
