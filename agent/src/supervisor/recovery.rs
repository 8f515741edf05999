//! What an earlier life of the agent left: reports are told again, containers are gone on with; all
//! else that ran when it died is lost.

use std::{collections::BTreeSet, io, path::PathBuf};

use postq_proto::v1::{self, assignment::Executor};
use tracing::{info, warn};

use crate::{
    attempt::{held, lost},
    executor::marker,
    ledger::{Kept, Ledger, read_text},
    logs::Shelf,
    process::{self, Trace},
    scratch::Scratch,
};

/// What an earlier life left to do.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Of the attempts that are not recorded yet, each on disk.
    pub(crate) reports: Vec<v1::Report>,
    /// What still runs.
    pub(crate) resumed: Vec<v1::Assignment>,
}

/// Finds it; `left` are the attempts that can be gone on with. Blocks on the disk.
pub(crate) fn recover(
    ledger: &Ledger,
    shelf: &Shelf,
    left: &BTreeSet<i64>,
) -> io::Result<Recovered> {
    let mut reports = Vec::new();
    let mut resumed = Vec::new();
    let goes_on = |assignment: &v1::Assignment| {
        assignment.executor() == Executor::Docker && left.contains(&assignment.attempt)
    };
    for kept in ledger.load(kill_left, goes_on)? {
        reports.push(match kept {
            Kept::Ended(report) => *report,
            Kept::Running(assignment) if goes_on(&assignment) => {
                info!(attempt.id = assignment.attempt, "its container is still there; going on");
                resumed.push(*assignment);
                continue;
            }
            Kept::Running(assignment) => {
                let attempt = assignment.attempt;
                let report = report_lost(&assignment, shelf);
                // Told from memory then; the next start tells the same.
                if let Err(error) = ledger.conclude(attempt, &report) {
                    warn!(attempt.id = attempt, %error, "a report cannot be kept on disk");
                }
                info!(attempt.id = attempt, "the agent died while this attempt ran; it is lost");
                report
            }
        });
    }
    for attempt in shelf.attempts() {
        let is_open =
            |report: &v1::Report| report.of.as_ref().is_some_and(|of| of.attempt == attempt);
        let is_resumed = resumed.iter().any(|assignment| assignment.attempt == attempt);
        if !reports.iter().any(is_open) && !is_resumed {
            shelf.release(attempt);
        }
    }
    Ok(Recovered { reports, resumed })
}

/// What a guard could not kill, because it was stopped or dead when the agent died.
fn kill_left(scratch_dirs: &[PathBuf]) {
    let traces: Vec<Trace> =
        scratch_dirs.iter().map(|dir| trace_of(&Scratch::at(dir.clone()))).collect();
    if !process::kill_left(&traces) {
        warn!("processes of an earlier life of the agent survived SIGKILL");
    }
}

fn trace_of(scratch: &Scratch) -> Trace {
    let noted = read_text(&scratch.guard());
    Trace { guard: noted.and_then(|text| text.parse().ok()), marker: marker(scratch) }
}

fn report_lost(assignment: &v1::Assignment, shelf: &Shelf) -> v1::Report {
    let reason = "the agent was restarted while the task ran";
    let mut report = lost(held(assignment), reason);
    if let Some((chunks, stdout, stderr)) = shelf.recovered(assignment.attempt) {
        report.log_chunks = chunks;
        report.stdout = stdout;
        report.stderr = stderr;
    }
    report
}
