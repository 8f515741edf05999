//! Directories of finished tasks: handed over to the next task that starts from exactly what is in
//! one, or copied from.
//!
//! Bounded by bytes; what was used least recently goes first. Nothing in it is trusted: a directory
//! is looked through before it is handed over, and what is copied is verified. Blocking.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use postq_common::{
    chunk::ChunkList,
    tree::{Digest, Snapshot},
};
use rayon::prelude::*;
use tracing::{debug, warn};

use super::{
    checkout::Checkout,
    clock::{Clock, now_ns},
    error::WorkspaceError,
    folder::Folder,
    listing::{Listing, What},
    plan::Plan,
    present::{self, Present},
    rules::Rules,
    scan::{Counts, scan},
};

/// What a name takes on a disk besides its content.
const ENTRY_BYTES: u64 = 4096;

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
    /// The most recently used stands last.
    folders: Vec<Shelved>,
}

/// One of them.
pub(super) struct Shelved {
    path: PathBuf,
    snapshot: Snapshot,
    bytes: u64,
    pub(super) listing: Listing,
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

    /// Takes `dir`, which holds exactly `snapshot`. Where that fails the directory stays.
    pub(super) fn keep(&self, dir: &Path, snapshot: Snapshot, listing: Listing) {
        let files = listing.folders.iter().flat_map(|folder| &folder.rows);
        let bytes: u64 = files
            .map(|row| match row.what {
                What::File { size, .. } => size + ENTRY_BYTES,
                _ => ENTRY_BYTES,
            })
            .sum();
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
        {
            let mut kept = self.kept();
            kept.bytes += bytes;
            kept.folders.push(Shelved { path, snapshot, bytes, listing });
        }
        self.shrink();
    }

    /// Moves a directory that holds exactly `snapshot` to the empty directory `dir`, if there is one.
    pub(super) fn take(
        &self,
        snapshot: &Snapshot,
        dir: &Path,
    ) -> Result<Option<(Listing, Counts)>, WorkspaceError> {
        let is_same = |it: &Shelved| {
            it.snapshot.content == snapshot.content && it.snapshot.times == snapshot.times
        };
        loop {
            let taken = {
                let mut kept = self.kept();
                let at = kept.folders.iter().rposition(is_same);
                let taken = at.map(|at| kept.folders.remove(at));
                kept.bytes -= taken.as_ref().map_or(0, |taken| taken.bytes);
                taken
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

    /// The directory that saves most of what `plan` needs, where that is worth it. It is the caller's
    /// until [`Cache::give_back`].
    pub(super) fn lend(&self, plan: &Plan) -> Option<Shelved> {
        let mut kept = self.kept();
        let saved = kept.folders.iter().enumerate().rev().take(LOOKED_AT);
        let saved = saved.filter_map(|(at, it)| Some((present::saves(&it.listing, plan)?, at)));
        let (_, at) = saved.max_by_key(|(bytes, _)| *bytes)?;
        let lent = kept.folders.remove(at);
        kept.bytes -= lent.bytes;
        Some(lent)
    }

    /// Takes back what was lent.
    pub(super) fn give_back(&self, lent: Shelved) {
        let mut kept = self.kept();
        kept.bytes += lent.bytes;
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

    /// Copies what `checkout` waits for from the directories that are here; how many bytes. What
    /// cannot be read, or is something else by now, is left for the store.
    pub(super) fn copy_to(&self, checkout: &Checkout) -> u64 {
        // Nobody else can take them, nor do they go, while they are here.
        let folders = std::mem::take(&mut self.kept().folders);
        let copied = folders.iter().rev().map(|shelved| shelved.copy_to(checkout)).sum();
        let mut kept = self.kept();
        let newer = std::mem::replace(&mut kept.folders, folders);
        kept.folders.extend(newer);
        copied
    }

    fn shrink(&self) {
        let mut gone = Vec::new();
        {
            let mut kept = self.kept();
            if kept.bytes > self.high {
                while kept.bytes > self.low && !kept.folders.is_empty() {
                    let oldest = kept.folders.remove(0);
                    kept.bytes -= oldest.bytes;
                    gone.push(oldest.path);
                }
            }
        }
        gone.iter().for_each(|path| remove(path));
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelved {
    fn copy_to(&self, checkout: &Checkout) -> u64 {
        let files: HashMap<Digest, Vec<u8>> = self
            .listing
            .folders
            .iter()
            .flat_map(|of| of.rows.iter().map(move |row| (of, row)))
            .filter_map(|(of, row)| match row.what {
                What::File { digest: Some(digest), .. } if checkout.wants_file(&digest) => {
                    Some((digest, of.path_of(&row.name)))
                }
                _ => None,
            })
            .collect();
        let Ok(root) = Folder::open_root(&self.path) else { return 0 };
        let copied = files.par_iter().map(|(digest, path)| checkout.copy(*digest, &root, path));
        copied.sum()
    }
}

fn remove(path: &Path) {
    if let Err(error) = crate::scratch::remove_tree(path) {
        warn!(%error, path = %path.display(), "a cached directory cannot be removed");
    }
}
