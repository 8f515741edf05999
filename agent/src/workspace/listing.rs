//! What a directory holds, folder by folder: read from the disk, or from a snapshot.
//!
//! It is also the index of a workspace: what was seen of each file when its content was known, so
//! that an unchanged file is not read again. Invariant: a row with a digest and a stamp that
//! `clock` calls settled says that a file which still has this stamp has that content.

use std::collections::HashMap;

use bytes::Bytes;
use postq_common::tree::Digest;

use super::clock::Clock;

/// What a name takes on a disk besides its content.
const ENTRY_BYTES: u64 = 4096;

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

    /// How many bytes all files have.
    pub(super) fn bytes(&self) -> u64 {
        let rows = self.folders.iter().flat_map(|folder| &folder.rows);
        rows.map(|row| if let What::File { size, .. } = row.what { size } else { 0 }).sum()
    }

    /// What it takes on a disk, more or less.
    pub(super) fn weight(&self) -> u64 {
        self.bytes() + self.entries() as u64 * ENTRY_BYTES
    }

    /// Forgets the stamps of files that could have changed, or could still change, after `now_ns`
    /// without it showing.
    pub(super) fn settle(&mut self, clock: Clock, now_ns: i64) {
        for row in self.folders.iter_mut().flat_map(|folder| &mut folder.rows) {
            if let What::File { stamp, .. } = &mut row.what
                && stamp.is_some_and(|stamp| !clock.is_settled(&stamp, now_ns))
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

/// Names that shall share one buffer, because there may be very many.
#[derive(Default)]
pub(super) struct Names {
    all: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    pub(super) fn add(&mut self, name: &[u8]) {
        self.all.extend_from_slice(name);
        self.ends.push(self.all.len());
    }

    /// All of them, in the order in which they were added.
    pub(super) fn share(mut self) -> Vec<Bytes> {
        self.all.shrink_to_fit();
        let (all, mut start) = (Bytes::from(self.all), 0);
        let name = |end| all.slice(std::mem::replace(&mut start, end)..end);
        self.ends.into_iter().map(name).collect()
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
