//! What this agent has accepted and not had recorded, on disk.
//!
//! ```text
//! attempts/ID/assignment   as received; there before the attempt starts
//! attempts/ID/report       how it ended; there before it is sent
//! attempts/ID/scratch/     of the attempt while it runs: workspace/, home/, tmp/
//! ```
//! Everything here blocks on the disk. Invariant: whoever finds no `assignment` may take it that
//! the attempt never started.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use postq_proto::v1;
use prost::Message;
use tracing::warn;

use crate::{home::write_durably, scratch};

/// An attempt that an earlier life of the agent accepted.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) assignment: v1::Assignment,
    /// None: the agent died while it ran.
    pub(crate) report: Option<v1::Report>,
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
        write_durably(&dir.join("assignment"), &assignment.encode_to_vec())?;
        File::open(&self.dir)?.sync_all()
    }

    /// Notes how the attempt ended.
    pub(crate) fn conclude(&self, attempt: i64, report: &v1::Report) -> io::Result<()> {
        write_durably(&self.attempt_dir(attempt).join("report"), &report.encode_to_vec())
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
    let assignment = decode(&fs::read(dir.join("assignment"))?)?;
    let report = match fs::read(dir.join("report")) {
        Ok(bytes) => Some(decode(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Kept { assignment, report })
}

fn decode<M: Message + Default>(bytes: &[u8]) -> io::Result<M> {
    M::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
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
        let report = v1::Report { reason: "exit code 3".into(), ..Default::default() };
        ledger.conclude(2, &report).unwrap();
        fs::create_dir(ledger.attempt_dir(3)).unwrap();

        let mut kept = ledger.load().unwrap();
        kept.sort_by_key(|kept| kept.assignment.attempt);
        assert_eq!(kept.len(), 2);
        assert_eq!((kept[0].report.as_ref(), kept[1].report.as_ref()), (None, Some(&report)));
        assert!(!ledger.scratch_dir(1).exists() && !ledger.attempt_dir(3).exists());

        ledger.forget(1).unwrap();
        ledger.forget(2).unwrap();
        ledger.forget(2).unwrap();
        assert!(ledger.load().unwrap().is_empty());
        assert_eq!(fs::read_dir(ledger.dir).unwrap().count(), 0);
    }
}
