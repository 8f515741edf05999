//! What this agent has accepted and not had recorded, on disk.
//!
//! ```text
//! attempts/ID/assignment   as received; there before the attempt starts
//! attempts/ID/report       how it ended; there before it is sent
//! attempts/ID/scratch/     of the attempt while it runs: workspace/, home/, tmp/
//! ```
//! Everything here blocks on the disk. Invariant: whatever kills the agent, what it had accepted
//! and what it had to report is found again. A loss of power kills the tasks as well: then an
//! assignment that did not reach the platter changes nothing (what this agent does not know, the
//! coordinator counts as lost), so assignments are never synced, and reports only when they have to
//! wait. (Syncing each cost a quarter of the rate of short tasks.)

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use postq_proto::v1;
use prost::Message;
use tracing::warn;

use crate::{
    home::{sync, write_whole},
    scratch,
};

/// An attempt that an earlier life of the agent accepted.
#[derive(Debug, PartialEq)]
pub(crate) enum Kept {
    /// It had ended, and this is how.
    Ended(v1::Report),
    /// The agent died while it ran.
    Running(v1::Assignment),
}

/// The directory of the open attempts.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    /// Opens or makes it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    fn attempt_dir(&self, attempt: i64) -> PathBuf {
        self.dir.join(attempt.to_string())
    }

    /// Where the attempt may put files that end with it.
    pub(crate) fn scratch_dir(&self, attempt: i64) -> PathBuf {
        self.attempt_dir(attempt).join("scratch")
    }

    /// Notes that the attempt is ours now.
    pub(crate) fn accept(&self, assignment: &v1::Assignment) -> io::Result<()> {
        let dir = self.attempt_dir(assignment.attempt);
        fs::create_dir(&dir)?;
        write_whole(&dir.join("assignment"), &assignment.encode_to_vec())
    }

    /// Notes how the attempt ended.
    pub(crate) fn conclude(&self, attempt: i64, report: &v1::Report) -> io::Result<()> {
        write_whole(&self.attempt_dir(attempt).join("report"), &report.encode_to_vec())
    }

    /// The report has to wait: it is to outlast a loss of power.
    pub(crate) fn secure(&self, attempt: i64) -> io::Result<()> {
        sync(&self.attempt_dir(attempt).join("report"))?;
        sync(&self.attempt_dir(attempt))
    }

    /// The matter is ended: nothing is left of the attempt.
    pub(crate) fn forget(&self, attempt: i64) -> io::Result<()> {
        let dir = self.attempt_dir(attempt);
        // First what would bring it back to life.
        for name in ["assignment", "report"] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        scratch::remove_tree(&dir)
    }

    /// What an earlier life left. Directories of attempts that were never accepted are removed, and
    /// so are the files of those that ended with it.
    pub(crate) fn load(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let dir = entry.path();
            match read_kept(&dir) {
                Ok(found) => {
                    scratch::remove_tree(&dir.join("scratch"))?;
                    kept.push(found);
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        warn!(path = %dir.display(), %error, "unreadable attempt removed");
                    }
                    scratch::remove_tree(&dir)?;
                }
            }
        }
        Ok(kept)
    }
}

fn read_kept(dir: &Path) -> io::Result<Kept> {
    let number = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
    let is_here = |attempt: i64| number == Some(attempt);
    if let Some(report) = read::<v1::Report>(&dir.join("report"))?
        && report.of.as_ref().is_some_and(|of| is_here(of.attempt))
    {
        return Ok(Kept::Ended(report));
    }
    match read::<v1::Assignment>(&dir.join("assignment"))? {
        Some(assignment) if is_here(assignment.attempt) => Ok(Kept::Running(assignment)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another attempt")),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// None: there is no such file.
fn read<M: Message + Default>(path: &Path) -> io::Result<Option<M>> {
    match fs::read(path) {
        Ok(bytes) => M::decode(bytes.as_slice())
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_found_again_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path().join("attempts")).unwrap();
        for attempt in [1, 2] {
            ledger.accept(&v1::Assignment { attempt, ..Default::default() }).unwrap();
            fs::create_dir_all(ledger.scratch_dir(attempt).join("workspace")).unwrap();
        }
        let report = v1::Report {
            of: Some(v1::Held { attempt: 2, ..Default::default() }),
            reason: "exit code 3".into(),
            ..Default::default()
        };
        ledger.conclude(2, &report).unwrap();
        ledger.secure(2).unwrap();
        // Never accepted; and one that a loss of power left empty.
        fs::create_dir(ledger.attempt_dir(3)).unwrap();
        fs::create_dir(ledger.attempt_dir(4)).unwrap();
        fs::write(ledger.attempt_dir(4).join("assignment"), "").unwrap();

        let kept = ledger.load().unwrap();
        assert_eq!(kept.len(), 2);
        let running = v1::Assignment { attempt: 1, ..Default::default() };
        assert!(kept.contains(&Kept::Running(running)) && kept.contains(&Kept::Ended(report)));
        assert!(!ledger.scratch_dir(1).exists() && !ledger.attempt_dir(3).exists());

        ledger.forget(1).unwrap();
        ledger.forget(2).unwrap();
        ledger.forget(2).unwrap();
        assert!(ledger.load().unwrap().is_empty());
        assert_eq!(fs::read_dir(ledger.dir).unwrap().count(), 0);
    }
}
