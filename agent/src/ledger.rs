//! What this agent has accepted and not had recorded, on disk.
//!
//! ```text
//! attempts/ID/assignment   as received; there before the attempt starts
//! attempts/ID/report       how it ended; there before it is sent
//! attempts/ID/scratch/     of the attempt while it runs: workspace/, home/, tmp/, guard
//! ```
//! Tasks may run as the agent's user, so nothing that is found here is trusted: what cannot be read
//! is removed, and what cannot be removed is left, warned of, and tried again later.
//! Everything here blocks on the disk. Invariant: whatever kills the agent, what it had accepted
//! and what it had to report is found again. A loss of power kills the tasks as well: then an
//! assignment that did not reach the platter changes nothing (what this agent does not know, the
//! coordinator counts as lost), so assignments are never synced, and reports only when they have to
//! wait. (Syncing each cost a quarter of the rate of short tasks.)

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::fcntl::OFlag;
use postq_proto::v1;
use prost::Message;
use tracing::warn;

use crate::{
    home::{sync, write_whole},
    scratch,
};

/// How long the removal of what was left may delay the start or the end of the agent; each try
/// gets further.
const LEFT_PATIENCE: Duration = Duration::from_secs(5);
/// No assignment and no report is larger, in bytes; a file that is was not written by an agent.
const LARGEST: u64 = 256 * 1024 * 1024;

/// An attempt that an earlier life of the agent accepted.
#[derive(Debug, PartialEq)]
pub(crate) enum Kept {
    /// It had ended, and this is how.
    Ended(Box<v1::Report>),
    /// The agent died while it ran.
    Running(Box<v1::Assignment>),
}

/// The directory of the open attempts.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    /// What could not be removed.
    left: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Ledger {
    /// Opens or makes it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, left: Arc::default() })
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
        match fs::create_dir(&dir) {
            // No attempt is accepted twice, so this is a task's work.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                scratch::remove_tree(&dir)?;
                fs::create_dir(&dir)?;
            }
            made => made?,
        }
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
        let disowned = ["assignment", "report"].map(|name| scratch::remove_tree(&dir.join(name)));
        let removed = scratch::remove_tree(&dir);
        if removed.is_err() {
            self.lock().insert(dir);
        }
        disowned.into_iter().find(Result::is_err).unwrap_or(removed)
    }

    /// What an earlier life left. Directories of attempts that were never accepted are removed, and
    /// so are the files of those that ended with it, once `before` has seen where they lie; not of
    /// those that go on.
    pub(crate) fn load(
        &self,
        before: impl FnOnce(&[PathBuf]),
        goes_on: impl Fn(&v1::Assignment) -> bool,
    ) -> io::Result<Vec<Kept>> {
        let (mut kept, mut scratch_dirs, mut rubbish) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let dir = entry.path();
            match read_kept(&dir) {
                Ok(found) => {
                    if !matches!(&found, Kept::Running(assignment) if goes_on(assignment)) {
                        scratch_dirs.push(dir.join("scratch"));
                    }
                    kept.push(found);
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        warn!(path = %dir.display(), %error, "unreadable attempt removed");
                    }
                    rubbish.push(dir);
                }
            }
        }
        before(&scratch_dirs);
        let deadline = Instant::now() + LEFT_PATIENCE;
        for path in scratch_dirs.iter().chain(&rubbish) {
            self.remove_until(path, deadline);
        }
        Ok(kept)
    }

    /// Tries again to remove what could not be removed before.
    pub(crate) fn remove_leftovers(&self) {
        let left = self.lock().clone();
        for path in left {
            match scratch::remove_tree_within(&path, LEFT_PATIENCE) {
                Ok(()) => {
                    self.lock().remove(&path);
                }
                Err(error) => warn!(path = %path.display(), %error, "still cannot be removed"),
            }
        }
    }

    fn remove_until(&self, path: &Path, deadline: Instant) {
        let patience = deadline.saturating_duration_since(Instant::now());
        if let Err(error) = scratch::remove_tree_within(path, patience) {
            warn!(path = %path.display(), %error, "left by an attempt; removal is tried again");
            self.lock().insert(path.to_owned());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.left.lock().expect("invariant: nothing panics while it holds this lock")
    }
}

fn read_kept(dir: &Path) -> io::Result<Kept> {
    let number = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
    let is_here = |attempt: i64| number == Some(attempt);
    if let Some(report) = read::<v1::Report>(&dir.join("report"))?
        && report.of.as_ref().is_some_and(|of| is_here(of.attempt))
    {
        return Ok(Kept::Ended(Box::new(report)));
    }
    match read::<v1::Assignment>(&dir.join("assignment"))? {
        Some(assignment) if is_here(assignment.attempt) => Ok(Kept::Running(Box::new(assignment))),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another attempt")),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// None: there is no such file.
fn read<M: Message + Default>(path: &Path) -> io::Result<Option<M>> {
    match read_file(path) {
        Ok(bytes) => M::decode(bytes.as_slice())
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a small file that may have been tampered with.
pub(crate) fn read_text(path: &Path) -> Option<String> {
    String::from_utf8(read_file(path).ok()?).ok()
}

/// Waits for nothing that may be in the place of the file, such as a pipe.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no agent wrote this"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &[PathBuf]) {}

    #[test]
    fn what_a_task_put_in_the_place_of_our_files_neither_stops_nor_holds_up_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path().join("attempts")).unwrap();
        for attempt in 1..=4 {
            fs::create_dir(ledger.attempt_dir(attempt)).unwrap();
        }
        let pipe = ledger.attempt_dir(1).join("report");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir_all(ledger.attempt_dir(2).join("assignment/x")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", ledger.attempt_dir(3).join("report")).unwrap();
        let huge = File::create(ledger.attempt_dir(4).join("report")).unwrap();
        huge.set_len(1 << 40).unwrap();
        fs::write(ledger.dir.join("stray"), "").unwrap();
        assert!(ledger.load(nothing, |_| false).unwrap().is_empty());
        assert_eq!(fs::read_dir(&ledger.dir).unwrap().count(), 0);

        fs::create_dir_all(ledger.attempt_dir(5).join("x")).unwrap();
        let assignment = v1::Assignment { attempt: 5, ..Default::default() };
        ledger.accept(&assignment).unwrap();
        assert_eq!(ledger.load(nothing, |_| false).unwrap(), [Kept::Running(Box::new(assignment))]);
        fs::create_dir_all(ledger.attempt_dir(5).join("report/x")).unwrap();
        ledger.forget(5).unwrap();
        assert_eq!(fs::read_dir(&ledger.dir).unwrap().count(), 0);
    }

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

        let kept = ledger.load(nothing, |_| false).unwrap();
        assert_eq!(kept.len(), 2);
        let running = v1::Assignment { attempt: 1, ..Default::default() };
        assert!(
            kept.contains(&Kept::Running(Box::new(running)))
                && kept.contains(&Kept::Ended(Box::new(report)))
        );
        assert!(!ledger.scratch_dir(1).exists() && !ledger.attempt_dir(3).exists());

        ledger.forget(1).unwrap();
        ledger.forget(2).unwrap();
        ledger.forget(2).unwrap();
        assert!(ledger.load(nothing, |_| false).unwrap().is_empty());
        assert_eq!(fs::read_dir(ledger.dir).unwrap().count(), 0);
    }
}
