//! All spools of the agent, by attempt: who writes finds room here, who pushes finds work.
//!
//! It opens no connection. Invariant: a spool's file goes only when its attempt is recorded and
//! every chunk is stored, or when the coordinator has disowned the attempt.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use postq_proto::v1;
use tokio::sync::Notify;
use tracing::warn;

use super::{budget::Budget, spool::Spool};

/// The spools of all attempts. Shared by writers, the pusher and the supervisor.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    pub(super) budget: Arc<Budget>,
    spools: Mutex<BTreeMap<i64, Arc<Spool>>>,
    /// Rings when a chunk was added.
    pub(super) news: Notify,
    /// Whether a coordinator takes chunks at present.
    pub(super) is_connected: AtomicBool,
}

impl Shelf {
    /// Opens the directory of the spools; those of an earlier life are pushed again from their
    /// first chunk (each counts once).
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let budget = Arc::<Budget>::default();
        let mut spools = BTreeMap::new();
        for entry in fs::read_dir(dir)?.flatten() {
            let path = entry.path();
            match open(&entry, &budget) {
                Ok(spool) => {
                    spools.insert(spool.of.attempt, Arc::new(spool));
                }
                Err(error) => {
                    if path.extension().is_none() {
                        warn!(path = %path.display(), %error, "unreadable log spool removed");
                    }
                    remove(&path);
                }
            }
        }
        let spools = Mutex::new(spools);
        let is_connected = AtomicBool::new(false);
        Ok(Self { dir: dir.to_owned(), budget, spools, news: Notify::new(), is_connected })
    }

    /// Where the spool of an attempt lies.
    pub(super) fn path_of(&self, attempt: i64) -> PathBuf {
        self.dir.join(attempt.to_string())
    }

    /// Makes the spool of an attempt. Blocks on the disk.
    pub(super) fn create(&self, of: v1::Held) -> io::Result<Arc<Spool>> {
        let attempt = of.attempt;
        let spool = Spool::create(&self.path_of(attempt), of, self.budget.clone())?;
        Ok(self.put(spool))
    }

    /// The spool of an attempt that an earlier life began, to be added to.
    pub(super) fn reopen(&self, attempt: i64) -> Option<Arc<Spool>> {
        let spool = self.lock().get(&attempt).cloned()?;
        spool.reopen();
        Some(spool)
    }

    /// Makes the spool of an attempt whose output the disk does not take.
    pub(super) fn create_in_memory(&self, of: v1::Held) -> Arc<Spool> {
        let path = self.path_of(of.attempt);
        self.put(Spool::in_memory(&path, of, self.budget.clone()))
    }

    fn put(&self, spool: Spool) -> Arc<Spool> {
        let spool = Arc::new(spool);
        self.lock().insert(spool.of.attempt, spool.clone());
        spool
    }

    /// The spools that may have something to push.
    pub(super) fn all(&self) -> Vec<Arc<Spool>> {
        self.lock().values().cloned().collect()
    }

    /// What an earlier life left of an attempt: its chunks and its last output.
    pub fn recovered(&self, attempt: i64) -> Option<(i64, Vec<u8>, Vec<u8>)> {
        let spool = self.lock().get(&attempt).cloned()?;
        let (stdout, stderr) = spool.tails();
        Some((spool.chunks(), stdout, stderr))
    }

    /// The attempts that have a spool.
    pub fn attempts(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Waits until a coordinator has all chunks of the attempt; does not wait while none is
    /// connected.
    pub async fn is_pushed(&self, attempt: i64) {
        let spool = self.lock().get(&attempt).cloned();
        if let Some(spool) = spool
            && self.is_connected.load(Ordering::Relaxed)
        {
            spool.is_pushed().await;
        }
    }

    /// The attempt is recorded: its spool goes once it is stored.
    pub fn release(&self, attempt: i64) {
        if let Some(spool) = self.lock().get(&attempt) {
            spool.release();
        }
        self.remove_if_done(attempt);
    }

    /// Nobody wants the attempt's output.
    pub fn discard(&self, attempt: i64) {
        if let Some(spool) = self.lock().remove(&attempt) {
            spool.remove();
        }
    }

    /// Called after each acknowledgement.
    pub(super) fn acknowledge(&self, attempt: i64, number: i64) {
        if let Some(spool) = self.lock().get(&attempt) {
            spool.acknowledge(number);
        }
        self.remove_if_done(attempt);
    }

    fn remove_if_done(&self, attempt: i64) {
        let mut spools = self.lock();
        if spools.get(&attempt).is_some_and(|spool| spool.is_done())
            && let Some(spool) = spools.remove(&attempt)
        {
            spool.remove();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, Arc<Spool>>> {
        self.spools.lock().expect("invariant: nothing panics while it holds this lock")
    }
}

/// The spool of an earlier life, if it is one.
fn open(entry: &fs::DirEntry, budget: &Arc<Budget>) -> io::Result<Spool> {
    let path = entry.path();
    // Others are the overflow of an attempt, whose head is lost with its writer.
    let is_spool = path.extension().is_none() && entry.file_type()?.is_file();
    if !is_spool {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no spool"));
    }
    Spool::open(&path, budget.clone())
}

/// What cannot be removed either only takes room.
fn remove(path: &Path) {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => crate::scratch::remove_tree(path),
        false => fs::remove_file(path),
    };
    if let Err(error) = removed {
        warn!(path = %path.display(), %error, "it cannot be removed from among the log spools");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_spool_does_not_keep_the_agent_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let of = v1::Held { attempt: 7, ..v1::Held::default() };
        Shelf::open(dir.path()).unwrap().create(of).unwrap();
        fs::create_dir_all(dir.path().join("8/below")).unwrap();
        fs::create_dir(dir.path().join("9.overflow-1")).unwrap();
        fs::write(dir.path().join("10"), [0xff; 20]).unwrap();
        let pipe = dir.path().join("11");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Shelf::open(dir.path()).unwrap().attempts(), [7]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
