//! What an earlier life of the agent left: reports are told again; what ran when it died is lost.

use std::io;

use postq_proto::v1;
use tracing::{info, warn};

use crate::{
    attempt::{held, lost},
    ledger::{Kept, Ledger},
    logs::Shelf,
};

/// The reports of the attempts that are not recorded yet, each on disk. Blocks on the disk.
pub(crate) fn recover(ledger: &Ledger, shelf: &Shelf) -> io::Result<Vec<v1::Report>> {
    let mut reports = Vec::new();
    for kept in ledger.load(|_, _| {})? {
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
