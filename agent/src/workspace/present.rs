//! What a directory holds already when a plan is made into it: a finished task's directory that is
//! almost what the next task starts from.
//!
//! It decides and prepares; the rest is written as into an empty directory. Blocking. Invariant:
//! what is kept was seen unchanged since its content was known.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
};

use postq_common::{
    chunk::{ChunkList, is_chunked},
    tree::Digest,
};

use super::{
    error::WorkspaceError,
    folder::{self, Folder, stamp_of},
    listing::{Folded, Listing, Row, Stamp, What},
    plan::Plan,
};

/// A large file is written over in place where at least this share of it stays.
const STAYS: (u64, u64) = (4, 5);

/// A directory that is there.
pub(super) struct Present {
    /// Where it is now.
    pub(super) path: PathBuf,
    /// What it holds.
    pub(super) listing: Listing,
    /// The chunks of its large files, by the digest of their list, as far as they are wanted.
    pub(super) chunks: BTreeMap<Digest, ChunkList>,
}

/// What becomes of a file that is there.
pub(super) enum Kept {
    /// It is what the plan wants.
    Whole(Stamp),
    /// Its chunks at these offsets are.
    Chunks(HashSet<u64>),
    /// It is something else, and gone.
    Nothing,
}

/// How much of `plan` a directory saves, in bytes; large files that differ count as saved. `None`
/// where that is less than half.
pub(super) fn saves(listing: &Listing, plan: &Plan) -> Option<u64> {
    let (mut all, mut saved) = ((0, 0), (0, 0));
    for of in &plan.listing.folders {
        let there = listing.folder(&of.path);
        for row in &of.rows {
            let What::File { size, digest, .. } = row.what else { continue };
            all = (all.0 + size, all.1 + 1);
            let old = there.and_then(|there| there.row(&row.name)).map(|row| &row.what);
            if let Some(What::File { size: old_size, digest: old, .. }) = old
                && (*old == digest || (is_chunked(size) && is_chunked(*old_size)))
            {
                saved = (saved.0 + size, saved.1 + 1);
            }
        }
    }
    (saved.0 * 2 >= all.0 && saved.1 * 2 >= all.1 && saved.1 > 0).then_some(saved.0)
}

/// The lists of chunks of large files that stand where the plan has other ones.
pub(super) fn lists_of(listing: &Listing, plan: &Plan) -> Vec<Digest> {
    pairs(listing, plan).into_iter().map(|(old, _)| old).collect()
}

/// Whether enough of each large file that differs stays in its place.
pub(super) fn is_worth_it(
    listing: &Listing,
    plan: &Plan,
    chunks: &BTreeMap<Digest, ChunkList>,
) -> bool {
    pairs(listing, plan).into_iter().all(|(old, new)| {
        let (Some(old), Some(new)) = (chunks.get(&old), plan.chunks.get(&new)) else {
            return false;
        };
        let stays: u64 = same_place(old, new).into_iter().map(|(_, size)| size).sum();
        stays * STAYS.1 >= new.size() * STAYS.0
    })
}

fn pairs(listing: &Listing, plan: &Plan) -> Vec<(Digest, Digest)> {
    let mut pairs = Vec::new();
    for of in &plan.listing.folders {
        let Some(there) = listing.folder(&of.path) else { continue };
        for row in &of.rows {
            if let What::File { size, digest: Some(new), .. } = row.what
                && let Some(What::File { size: old_size, digest: Some(old), .. }) =
                    there.row(&row.name).map(|row| &row.what)
                && is_chunked(size)
                && is_chunked(*old_size)
                && *old != new
            {
                pairs.push((*old, new));
            }
        }
    }
    pairs
}

/// Offsets and sizes of the chunks that both have in the same place.
fn same_place(old: &ChunkList, new: &ChunkList) -> Vec<(u64, u64)> {
    let places = |list: &ChunkList| -> HashSet<(u64, Digest, u64)> {
        let mut at = 0;
        let place = |chunk: &postq_common::chunk::Chunk| {
            at += chunk.size;
            (at - chunk.size, chunk.digest, chunk.size)
        };
        list.chunks().iter().map(place).collect()
    };
    let (old, new) = (places(old), places(new));
    new.intersection(&old).map(|(offset, _, size)| (*offset, *size)).collect()
}

impl Present {
    /// Removes from the folder at `of.path` what the plan does not have there.
    pub(super) fn clear(&self, folder: &Folder, of: &Folded) -> Result<(), WorkspaceError> {
        let Some(there) = self.listing.folder(&of.path) else { return Ok(()) };
        let failed = || WorkspaceError::io("clear", &of.path);
        // Whatever the task left of its own rights.
        folder.seal(0o700, None).map_err(failed())?;
        for row in &there.rows {
            let wanted = of.row(&row.name).map(|row| &row.what);
            let stays = match (&row.what, wanted) {
                (What::Folder { .. }, Some(What::Folder { .. })) => true,
                (What::Symlink { target }, Some(What::Symlink { target: new })) => target == new,
                (What::File { .. }, Some(What::File { .. })) => true,
                _ => false,
            };
            if stays {
                continue;
            }
            match row.what {
                What::Folder { .. } => {
                    let path = of.path_of(&row.name);
                    let path = self
                        .path
                        .join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path));
                    crate::scratch::remove_tree(&path).map_err(failed())?;
                }
                _ => folder.remove(&row.name).map_err(failed())?,
            }
        }
        Ok(())
    }

    /// Whether a folder or symlink of the plan is there already.
    pub(super) fn has(&self, of: &Folded, row: &Row) -> bool {
        let there = self.listing.folder(&of.path).and_then(|there| there.row(&row.name));
        match (there.map(|row| &row.what), &row.what) {
            (Some(What::Folder { .. }), What::Folder { .. }) => true,
            (Some(What::Symlink { target: old }), What::Symlink { target }) => old == target,
            _ => false,
        }
    }

    /// Prepares a file of the plan: what is kept of it gets the size, bits and time that it shall
    /// have, or may be written.
    pub(super) fn prepare(
        &self,
        root: &Folder,
        of: &Folded,
        row: &Row,
        new: Option<&ChunkList>,
    ) -> io::Result<Kept> {
        let What::File { bits, size, digest: Some(digest), .. } = row.what else {
            return Ok(Kept::Nothing);
        };
        let there = self.listing.folder(&of.path).and_then(|there| there.row(&row.name));
        let Some(Row {
            what: What::File { bits: old_bits, digest: Some(old), stamp, .. },
            mtime_ns,
            ..
        }) = there
        else {
            return Ok(Kept::Nothing);
        };
        let path = of.path_of(&row.name);
        if *old == digest {
            if let Some(stamp) = stamp
                && (*old_bits, *mtime_ns) == (bits, row.mtime_ns)
            {
                return Ok(Kept::Whole(*stamp));
            }
            let file = root.open_file_below(&path)?;
            folder::seal(&file, bits, row.mtime_ns)?;
            return Ok(Kept::Whole(stamp_of(&file.metadata()?)));
        }
        let chunks = self.chunks.get(old).zip(new).map(|(old, new)| same_place(old, new));
        let Some(chunks) = chunks else {
            root.remove_below(&path)?;
            return Ok(Kept::Nothing);
        };
        folder::seal(&root.open_file_below(&path)?, 0o600, None)?;
        root.write_file_below(&path)?.set_len(size)?;
        Ok(Kept::Chunks(chunks.into_iter().map(|(offset, _)| offset).collect()))
    }
}
