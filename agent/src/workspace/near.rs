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
    sync::Arc,
};

use postq_common::tree::Digest;
use rayon::prelude::*;

use super::{
    checkout::Checkout,
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
#[derive(Default)]
pub(super) struct Near {
    roots: Vec<(Folder, Arc<Listing>)>,
    spots: HashMap<Digest, Option<Spot>>,
}

/// A file of one of the roots.
#[derive(Clone, Copy)]
struct Spot {
    root: u32,
    folder: u32,
    row: u32,
    stamp: Option<Stamp>,
}

impl Near {
    /// Looks for `wanted` in `sources`; the first ones are the likeliest to have stayed as they are.
    pub(super) fn find(sources: Vec<Source>, wanted: impl Iterator<Item = Digest>) -> Self {
        let mut near = Self { roots: Vec::new(), spots: wanted.map(|it| (it, None)).collect() };
        let mut open = near.spots.len();
        for source in sources {
            if open == 0 {
                break;
            }
            let Some(folder) = source.open() else { continue };
            open -= near.note(&source.listing);
            near.roots.push((folder, source.listing));
        }
        near
    }

    /// Notes what the next root has; how many contents can be cloned that could not before.
    fn note(&mut self, listing: &Listing) -> usize {
        let root = u32::try_from(self.roots.len()).unwrap_or(u32::MAX);
        let mut found = 0;
        for (folder, of) in (0..).zip(&listing.folders) {
            for (row, entry) in (0..).zip(&of.rows) {
                if let What::File { digest: Some(digest), stamp, .. } = entry.what
                    && let Some(spot) = self.spots.get_mut(&digest)
                    && spot.is_none_or(|spot| spot.stamp.is_none() && stamp.is_some())
                {
                    found += usize::from(stamp.is_some());
                    *spot = Some(Spot { root, folder, row, stamp });
                }
            }
        }
        found
    }

    /// Whether that content was in a file that has not changed since, as far as is known.
    pub(super) fn has_clone(&self, digest: &Digest) -> bool {
        self.spots.get(digest).copied().flatten().is_some_and(|spot| spot.stamp.is_some())
    }

    /// Fills the empty file `to` with that content of `size` bytes; false where it is not there.
    pub(super) fn clone_to(&self, digest: &Digest, size: u64, to: &File) -> io::Result<bool> {
        let Some(spot) = self.spots.get(digest).copied().flatten() else { return Ok(false) };
        let from = self.open(&spot)?;
        let is_same = || Ok::<_, io::Error>(Some(stamp_of(&from.metadata()?)) == spot.stamp);
        if !is_same()? {
            return Ok(false);
        }
        // The kernel shares blocks where it can.
        let copied = io::copy(&mut (&from).take(size), &mut &*to)?;
        // A change while it was copied shows in the stamp.
        Ok(copied == size && is_same()?)
    }

    /// Passes to `checkout` what it still waits for, as far as it is what it was.
    pub(super) fn copy_rest(&self, checkout: &Checkout) {
        self.spots.par_iter().for_each(|(digest, spot)| {
            if let Some(spot) = spot.as_ref().filter(|_| checkout.wants_file(digest))
                && let Ok(file) = self.open(spot)
            {
                checkout.copy(*digest, &file);
            }
        });
    }

    fn open(&self, spot: &Spot) -> io::Result<File> {
        let (root, listing) = &self.roots[spot.root as usize];
        let folder = &listing.folders[spot.folder as usize];
        root.open_file_below(&folder.path_of(&folder.rows[spot.row as usize].name))
    }
}
