//! What a directory holds, folder by folder: read from the disk, or from a snapshot.
//!
//! It is also the index of a workspace: what was seen of each file when its content was known, so
//! that an unchanged file is not read again. Invariant: a row with a digest and a stamp that
//! [`Stamp::is_settled`] says that a file which still has this stamp has that content.

use std::collections::HashMap;

use bytes::Bytes;
use postq_common::tree::Digest;

/// Times of a local file system are this fine at the worst: what changes twice within it may look
/// the same.
const TICK_NS: i64 = 20_000_000;
/// Where a time has no fraction, the file system may know only seconds, or every other one.
const COARSE_TICK_NS: i64 = 2_000_000_000;

/// All folders below a root. Parents stand before what is in them.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) folders: Vec<Folded>,
    by_path: HashMap<Vec<u8>, u32>,
}

/// One folder.
#[derive(Default)]
pub(super) struct Folded {
    /// From the root, without a leading slash; empty for the root.
    pub(super) path: Vec<u8>,
    /// Roots of its content and times trees, where they are known.
    pub(super) content: Option<Digest>,
    pub(super) times: Option<Digest>,
    /// Sorted by name.
    pub(super) rows: Vec<Row>,
}

/// One name in a folder.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) name: Bytes,
    pub(super) what: What,
    pub(super) mtime_ns: Option<i64>,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum What {
    /// Without a digest, its content is not known yet.
    File { bits: u32, size: u64, digest: Option<Digest>, stamp: Option<Stamp> },
    /// `at` is its place among the folders.
    Folder { bits: u32, at: u32 },
    /// Verbatim.
    Symlink { target: Bytes },
}

/// What changes at the latest when a file's content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
}

impl Stamp {
    /// Whether a change after `now` cannot look like this stamp.
    pub(super) fn is_settled(&self, now_ns: i64) -> bool {
        let is_coarse = self.ctime_ns % 1_000_000_000 == 0;
        let tick = if is_coarse { COARSE_TICK_NS } else { TICK_NS };
        self.ctime_ns < now_ns.saturating_sub(tick)
    }
}

impl Listing {
    /// Adds a folder whose parent is there already, and tells its place.
    pub(super) fn add(&mut self, folder: Folded) -> u32 {
        // More folders than fit are refused long before.
        let at = u32::try_from(self.folders.len()).unwrap_or(u32::MAX);
        self.by_path.insert(folder.path.clone(), at);
        self.folders.push(folder);
        at
    }

    /// The folder at a path.
    pub(super) fn folder(&self, path: &[u8]) -> Option<&Folded> {
        self.folders.get(*self.by_path.get(path)? as usize)
    }

    /// How many names there are.
    pub(super) fn entries(&self) -> usize {
        self.folders.iter().map(|folder| folder.rows.len()).sum()
    }

    /// Forgets the stamps of files that may change without it showing.
    pub(super) fn settle(&mut self, now_ns: i64) {
        for row in self.folders.iter_mut().flat_map(|folder| &mut folder.rows) {
            if let What::File { stamp, .. } = &mut row.what
                && stamp.is_some_and(|stamp| !stamp.is_settled(now_ns))
            {
                *stamp = None;
            }
        }
    }
}

impl Folded {
    /// What is known of a name.
    pub(super) fn row(&self, name: &[u8]) -> Option<&Row> {
        let at = self.rows.binary_search_by(|row| row.name.as_ref().cmp(name)).ok()?;
        Some(&self.rows[at])
    }

    /// The path of a name in it.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.path, name)
    }
}

/// The path of a name in a folder.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    path.extend_from_slice(folder);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Now, by the clock that stamps files.
pub(super) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_just_now_is_not_trusted() {
        let stamp = |ctime_ns| Stamp { device: 1, inode: 1, mtime_ns: 0, ctime_ns };
        let second = 1_000_000_000;
        let now = 1000 * second + 1;
        assert!(stamp(999 * second + 1).is_settled(now));
        assert!(!stamp(now - 1_000_000).is_settled(now));
        assert!(!stamp(now + 5 * second).is_settled(now));
        // Where the clock of files knows seconds only.
        assert!(!stamp(999 * second).is_settled(now));
        assert!(stamp(997 * second).is_settled(now));
    }
}
