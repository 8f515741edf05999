//! Files that are on this disk already, in directories of finished tasks and of those that run.
//!
//! A file that nobody has touched since its content was known is cloned where the file system shares
//! blocks, and copied by the kernel elsewhere; from any other one is taken what its digest confirms.
//! Invariant: nothing is believed of a file that could have changed, not even while it was copied.
//! Blocking.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use postq_common::tree::Digest;
use rayon::prelude::*;

use super::{
    checkout::Checkout,
    error::WorkspaceError,
    folder::{Folder, stamp_of},
    listing::{Listing, Stamp, What},
};

/// A directory as it was when its files were last looked at.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Where it is once it has moved.
    pub(super) next: Option<PathBuf>,
    pub(super) listing: Arc<Listing>,
}

impl Source {
    /// It may be gone by now.
    fn open(&self) -> Option<Folder> {
        let paths = std::iter::once(&self.path).chain(&self.next);
        paths.filter_map(|path| Folder::open_root(path).ok()).next()
    }
}

/// Where contents can be had.
pub(super) struct Near {
    roots: Vec<Root>,
    spots: HashMap<Digest, Option<Spot>>,
}

/// Opened when something is wanted from it: there may be very many.
struct Root {
    source: Source,
    folder: OnceLock<Option<Folder>>,
}

/// A file of one of the roots.
#[derive(Clone, Copy)]
struct Spot {
    root: u32,
    folder: u32,
    row: u32,
}

impl Near {
    /// Looks for `wanted` in `sources`; the first ones are the likeliest to have stayed as they are.
    pub(super) fn find(sources: Vec<Source>, wanted: impl Iterator<Item = Digest>) -> Self {
        // Where there is nowhere to look, nothing has to be held in mind either.
        let wanted = wanted.filter(|_| !sources.is_empty());
        let mut near = Self { roots: Vec::new(), spots: wanted.map(|it| (it, None)).collect() };
        let mut open = near.spots.len();
        for source in sources {
            if open == 0 {
                break;
            }
            near.roots.push(Root { source, folder: OnceLock::new() });
            open -= near.note_last();
        }
        near
    }

    /// Notes what the last root has; how many contents can be cloned that could not before.
    fn note_last(&mut self) -> usize {
        let Self { roots, spots } = self;
        let Some(last) = roots.last() else { return 0 };
        let mut found = 0;
        let root = u32::try_from(roots.len() - 1).unwrap_or(u32::MAX);
        for (folder, of) in (0..).zip(&last.source.listing.folders) {
            for (row, entry) in (0..).zip(&of.rows) {
                if let What::File { digest: Some(digest), stamp, .. } = entry.what
                    && let Some(spot) = spots.get_mut(&digest)
                    && spot.is_none_or(|spot| stamp.is_some() && spot.seen(roots).1.is_none())
                {
                    found += usize::from(stamp.is_some());
                    *spot = Some(Spot { root, folder, row });
                }
            }
        }
        found
    }

    /// A file that had that content and size when it was looked at, and has not changed since.
    pub(super) fn unchanged(&self, digest: &Digest, size: u64) -> Option<Unchanged> {
        // A tree that lies about the size of a blob finds nothing here, and is refused by the store's.
        let spot = self.spots.get(digest).copied().flatten()?;
        let (found, stamp) = spot.seen(&self.roots);
        let stamp = stamp.filter(|_| found == size)?;
        let file = Unchanged { stamp, file: self.open(&spot).ok()?, size };
        file.is_same().ok()?.then_some(file)
    }

    /// Passes to `checkout` what it still waits for, as far as it is what it was.
    pub(super) fn copy_rest(&self, checkout: &Checkout) -> Result<(), WorkspaceError> {
        self.spots.par_iter().try_for_each(|(digest, spot)| {
            match spot.as_ref().filter(|_| checkout.wants_file(digest)).map(|spot| self.open(spot))
            {
                Some(Ok(file)) => checkout.copy(*digest, &file),
                // Gone by now, or nowhere.
                Some(Err(_)) | None => Ok(()),
            }
        })
    }

    fn open(&self, spot: &Spot) -> io::Result<File> {
        let Root { source, folder } = &self.roots[spot.root as usize];
        let root = folder.get_or_init(|| source.open());
        let root = root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let folder = &source.listing.folders[spot.folder as usize];
        root.open_file_below(&folder.path_of(&folder.rows[spot.row as usize].name))
    }
}

impl Spot {
    /// Its size and stamp, as they were when it was last looked at.
    fn seen(&self, roots: &[Root]) -> (u64, Option<Stamp>) {
        let folders = &roots[self.root as usize].source.listing.folders;
        match folders[self.folder as usize].rows[self.row as usize].what {
            What::File { size, stamp, .. } => (size, stamp),
            What::Folder { .. } | What::Symlink { .. } => (0, None),
        }
    }
}

/// A file whose content is known by its stamp.
pub(super) struct Unchanged {
    file: File,
    size: u64,
    stamp: Stamp,
}

impl Unchanged {
    fn is_same(&self) -> io::Result<bool> {
        Ok(stamp_of(&self.file.metadata()?) == self.stamp)
    }

    /// Fills an empty file; false where this one has changed meanwhile.
    pub(super) fn clone_to(&self, mut to: &File) -> io::Result<bool> {
        // The kernel shares blocks where it can.
        let copied = io::copy(&mut (&self.file).take(self.size), &mut to)?;
        Ok(copied == self.size && self.is_same()?)
    }
}
