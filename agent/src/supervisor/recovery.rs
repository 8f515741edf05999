//! What an earlier life of the agent left: reports are told again; what ran when it died is lost.

use std::{io, path::PathBuf};

use postq_proto::v1;
use tracing::{info, warn};

use crate::{
    attempt::{held, lost},
    executor::marker,
    ledger::{Kept, Ledger, read_text},
    logs::Shelf,
    process::{self, Trace},
    scratch::Scratch,
};

/// The reports of the attempts that are not recorded yet, each on disk. Blocks on the disk.
pub(crate) fn recover(ledger: &Ledger, shelf: &Shelf) -> io::Result<Vec<v1::Report>> {
    let mut reports = Vec::new();
    for kept in ledger.load(kill_left)? {
        reports.push(match kept {
            Kept::Ended(report) => report,
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
        if !reports.iter().any(is_open) {
            shelf.release(attempt);
        }
    }
    Ok(reports)
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
