//! Directories of finished tasks: handed over to the next task that starts from exactly what is in
//! one, or copied from.
//!
//! Bounded by bytes; what was used least recently goes first. Nothing in it is trusted: a directory
//! is looked through before it is handed over, and what is copied is verified. Blocking.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use postq_common::{
    chunk::ChunkList,
    tree::{Digest, Snapshot},
};
use tracing::{debug, warn};

use super::{
    clock::{Clock, now_ns},
    error::WorkspaceError,
    listing::Listing,
    near::Source,
    plan::Plan,
    present::{self, Present},
    rules::Rules,
    scan::{Counts, scan},
};

/// How many directories are compared with what a task needs; the most recent are the likeliest.
const LOOKED_AT: usize = 8;

/// Directories that nobody uses.
pub(super) struct Cache {
    dir: PathBuf,
    /// Beyond this the oldest go, until no more than `low` is left.
    high: u64,
    low: u64,
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    next: u64,
    bytes: u64,
    /// The most recently used stands last, what was fetched ahead and not used yet first.
    folders: Vec<Shelved>,
    /// On their way to a task, or there.
    moving: Vec<Source>,
}

/// One of them.
pub(super) struct Shelved {
    path: PathBuf,
    snapshot: Snapshot,
    bytes: u64,
    is_guess: bool,
    pub(super) listing: Arc<Listing>,
}

impl Kept {
    /// Takes a directory out, for the directory `dir`.
    fn pick(&mut self, at: usize, dir: &Path) -> Shelved {
        let picked = self.folders.remove(at);
        self.bytes -= picked.bytes;
        self.moving.retain(|it| it.next.as_ref().is_some_and(|next| next.exists()));
        self.moving.push(Source { next: Some(dir.to_owned()), ..picked.source() });
        picked
    }

    /// Takes out the first ones until no more than `low` is left; where they are.
    fn shrink(&mut self, low: u64) -> Vec<PathBuf> {
        let mut gone = Vec::new();
        while self.bytes > low && !self.folders.is_empty() {
            let first = self.folders.remove(0);
            self.bytes -= first.bytes;
            gone.push(first.path);
        }
        gone
    }
}

impl Shelved {
    /// Whether it is what a task with that input starts from.
    fn holds(&self, snapshot: &Snapshot) -> bool {
        self.snapshot.content == snapshot.content && self.snapshot.times == snapshot.times
    }

    fn source(&self) -> Source {
        Source { path: self.path.clone(), next: None, listing: self.listing.clone() }
    }
}

/// A directory that was taken from the shelf to be looked at; it goes back unless it is kept, also where
/// whoever looks is stopped.
pub(super) struct Loan<'a> {
    cache: &'a Cache,
    lent: Option<Shelved>,
}

impl Loan<'_> {
    /// What it is.
    pub(super) fn lent(&self) -> &Shelved {
        self.lent.as_ref().expect("invariant: it is there until it is kept or given back")
    }

    /// It is the caller's from here.
    pub(super) fn keep(mut self) -> Shelved {
        self.lent.take().expect("invariant: it is there until it is kept or given back")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.cache.give_back(lent);
        }
    }
}

impl Cache {
    /// An empty cache in `dir`, whatever was there before.
    pub(super) fn open(dir: &Path, high: u64) -> io::Result<Self> {
        crate::scratch::remove_tree(dir)?;
        // Tasks may own what is in it, and must not reach it.
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let (dir, clock, low) = (dir.to_owned(), Clock::probe(dir)?, high / 10 * 8);
        Ok(Self { dir, high, low, clock, kept: Mutex::default() })
    }

    /// The clock of its file system.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path on the same file system, for a directory that is to be kept once it is whole.
    pub(super) fn new_place(&self) -> PathBuf {
        let mut kept = self.kept();
        kept.next += 1;
        self.dir.join(format!("ahead-{}", kept.next))
    }

    /// Whether a guess may take so many bytes: not if more than half of what is kept went for it.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.high / 2
    }

    /// Whether a directory holds just that.
    pub(super) fn has(&self, snapshot: &Snapshot) -> bool {
        self.kept().folders.iter().any(|it| it.holds(snapshot))
    }

    /// What is in the directories that may save most of what `plan` needs.
    pub(super) fn like(&self, plan: &Plan) -> Vec<Arc<Listing>> {
        let kept = self.kept();
        let recent = kept.folders.iter().rev().take(LOOKED_AT);
        let saves = recent.filter(|it| present::saves(&it.listing, plan).is_some());
        saves.map(|it| it.listing.clone()).collect()
    }

    /// Takes `dir`, which holds exactly `snapshot`. Where that fails the directory stays.
    pub(super) fn keep(&self, dir: &Path, snapshot: Snapshot, listing: Listing) {
        self.put(dir, snapshot, listing, false);
    }

    /// As [`Cache::keep`], of what nobody has used: it goes before anything that a task has left, the
    /// oldest first.
    pub(super) fn keep_guess(&self, dir: &Path, snapshot: Snapshot, listing: Listing) {
        self.put(dir, snapshot, listing, true);
    }

    fn put(&self, dir: &Path, snapshot: Snapshot, listing: Listing, is_guess: bool) {
        let bytes = listing.weight();
        if bytes > self.high {
            return;
        }
        let path = {
            let mut kept = self.kept();
            kept.next += 1;
            self.dir.join(kept.next.to_string())
        };
        if let Err(error) = fs::rename(dir, &path) {
            debug!(%error, "a workspace is not cached");
            return;
        }
        let gone = {
            let mut kept = self.kept();
            kept.bytes += bytes;
            let gone = if kept.bytes > self.high { kept.shrink(self.low) } else { Vec::new() };
            let guesses = kept.folders.iter().take_while(|it| it.is_guess).count();
            let at = if is_guess { guesses } else { kept.folders.len() };
            let listing = Arc::new(listing);
            kept.folders.insert(at, Shelved { path, snapshot, bytes, is_guess, listing });
            gone
        };
        gone.iter().for_each(|path| remove(path));
    }

    /// Moves a directory that holds exactly `snapshot` to the empty directory `dir`, if there is one.
    pub(super) fn take(
        &self,
        snapshot: &Snapshot,
        dir: &Path,
    ) -> Result<Option<(Listing, Counts)>, WorkspaceError> {
        loop {
            let taken = {
                let mut kept = self.kept();
                let at = kept.folders.iter().rposition(|it| it.holds(snapshot));
                at.map(|at| kept.pick(at, dir))
            };
            let Some(taken) = taken else { return Ok(None) };
            match self.hand_over(&taken, dir) {
                Ok(handed) => return Ok(Some(handed)),
                Err(error) => {
                    warn!(%error, "a cached directory is not what it was");
                    remove(&taken.path);
                }
            }
        }
    }

    fn hand_over(&self, taken: &Shelved, dir: &Path) -> Result<(Listing, Counts), WorkspaceError> {
        let now = now_ns();
        let mut found = scan(&taken.path, &Rules::default(), Some(&taken.listing))?;
        let is_same =
            (found.content, found.times) == (taken.snapshot.content, taken.snapshot.times);
        if found.has_more || !is_same {
            return Err(WorkspaceError::Changed { path: taken.path.display().to_string() });
        }
        // An empty directory gives way.
        let moved = fs::rename(&taken.path, dir);
        moved.map_err(WorkspaceError::io("move", dir.as_os_str().as_encoded_bytes()))?;
        found.listing.settle(self.clock, now);
        Ok((found.listing, found.counts))
    }

    /// The directory that saves most of what `plan` needs, where that is worth it, meant for `dir`.
    pub(super) fn lend(&self, plan: &Plan, dir: &Path) -> Option<Loan<'_>> {
        let mut kept = self.kept();
        let saved = kept.folders.iter().enumerate().rev().take(LOOKED_AT);
        let saved = saved.filter_map(|(at, it)| Some((present::saves(&it.listing, plan)?, at)));
        let (_, at) = saved.max_by_key(|(bytes, _)| *bytes)?;
        Some(Loan { cache: self, lent: Some(kept.pick(at, dir)) })
    }

    fn give_back(&self, lent: Shelved) {
        let mut kept = self.kept();
        kept.bytes += lent.bytes;
        kept.moving.retain(|it| it.path != lent.path);
        kept.folders.push(lent);
    }

    /// Moves what was lent to the empty directory `dir`, if it is what it was.
    pub(super) fn move_to(
        &self,
        lent: Shelved,
        chunks: BTreeMap<Digest, ChunkList>,
        dir: &Path,
    ) -> Option<Present> {
        match self.hand_over(&lent, dir) {
            Ok((listing, _)) => Some(Present { path: dir.to_owned(), listing, chunks }),
            Err(error) => {
                warn!(%error, "a cached directory is not what it was");
                remove(&lent.path);
                None
            }
        }
    }

    /// What is here, the most recently used first, and what went from here to tasks.
    pub(super) fn sources(&self) -> Vec<Source> {
        let kept = self.kept();
        kept.folders.iter().rev().map(Shelved::source).chain(kept.moving.iter().cloned()).collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(path: &Path) {
    if let Err(error) = crate::scratch::remove_tree(path) {
        warn!(%error, path = %path.display(), "a cached directory cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot { content: Some(Digest::of(text.as_bytes())), ..Snapshot::default() }
    }

    /// A directory with a file of so many bytes.
    fn directory(home: &Path, bytes: usize) -> (PathBuf, Listing) {
        let dir = home.join("new");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), vec![0; bytes]).unwrap();
        let listing = scan(&dir, &Rules::default(), None).unwrap().listing;
        (dir, listing)
    }

    #[test]
    fn what_was_fetched_ahead_goes_before_what_tasks_have_left_and_the_newest_last() {
        let home = tempfile::tempdir().unwrap();
        let (_, listing) = directory(home.path(), 1000);
        fs::remove_dir_all(home.path().join("new")).unwrap();
        let cache = Cache::open(&home.path().join("cache"), 5 * listing.weight()).unwrap();
        let keep = |name, is_guess| {
            let (dir, listing) = directory(home.path(), 1000);
            cache.put(&dir, snapshot(name), listing, is_guess);
        };
        keep("left", false);
        ["guess 1", "guess 2", "guess 3"].iter().for_each(|name| keep(name, true));
        keep("left 2", false);
        // One too many.
        keep("guess 4", true);
        let has = |names: &[&str]| names.iter().all(|name| cache.has(&snapshot(name)));
        assert!(has(&["left", "left 2", "guess 3", "guess 4"]));
        assert!(!has(&["guess 1"]) && !has(&["guess 2"]));
        assert_eq!(fs::read_dir(cache.dir()).unwrap().count(), 4);
    }
}
