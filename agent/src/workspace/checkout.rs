//! A plan made into files. Blocking but for the arrival of blobs.
//!
//! Invariant: a file gets its final permissions and time only after its content was verified.

use std::{
    collections::BTreeMap,
    fs::{File, Permissions},
    io::{self, Seek, Write},
    os::unix::fs::PermissionsExt,
};

use bytes::Bytes;
use postq_common::tree::{Digest, Kind};

use super::{
    error::WorkspaceError,
    folder::Folder,
    plan::{Plan, Planned},
};

/// Files that wait for their content.
pub(super) struct Checkout {
    root: Folder,
    wanted: BTreeMap<Digest, Wanted>,
    current: Option<Arriving>,
    folders: Vec<Planned>,
}

/// Files of one content.
struct Wanted {
    size: u64,
    files: Vec<Target>,
}

struct Target {
    path: Vec<u8>,
    bits: u32,
    mtime_ns: Option<i64>,
}

/// A content of which a part has arrived, and the first file of it.
struct Arriving {
    digest: Digest,
    missing: u64,
    hasher: blake3::Hasher,
    file: File,
}

impl Checkout {
    /// Makes all directories and symlinks of `plan`.
    pub(super) fn begin(root: Folder, plan: Plan) -> Result<Self, WorkspaceError> {
        let mut checkout =
            Self { root, wanted: BTreeMap::new(), current: None, folders: Vec::new() };
        for planned in plan.entries {
            checkout.make(planned)?;
        }
        Ok(checkout)
    }

    fn make(&mut self, planned: Planned) -> Result<(), WorkspaceError> {
        let Planned { path, kind, mtime_ns } = planned.clone();
        match kind {
            Kind::Directory { .. } => {
                self.at(&path, |folder, name| folder.create_folder(name))?;
                self.folders.push(planned);
            }
            Kind::Symlink { target } => self.at(&path, |folder, name| {
                folder.create_symlink(name, &target)?;
                mtime_ns.map_or(Ok(()), |mtime| folder.set_mtime(name, mtime))
            })?,
            Kind::File { digest, size, bits } => {
                let wanted =
                    self.wanted.entry(digest).or_insert_with(|| Wanted { size, files: Vec::new() });
                if wanted.size != size {
                    let (said, found) = (wanted.size, size);
                    return Err(WorkspaceError::WrongSize { digest, said, found });
                }
                wanted.files.push(Target { path, bits, mtime_ns });
            }
        }
        Ok(())
    }

    /// The contents that are still to come, with their sizes.
    pub(super) fn wanted(&self) -> Vec<(Digest, u64)> {
        self.wanted.iter().map(|(digest, wanted)| (*digest, wanted.size)).collect()
    }

    /// The stream broke: what has arrived in part will come again.
    pub(super) fn reset(&mut self) {
        self.current = None;
    }

    /// A content begins to arrive.
    pub(super) fn start(&mut self, digest: Digest, found: u64) -> Result<(), WorkspaceError> {
        if self.current.is_some() {
            return Err(WorkspaceError::Protocol("a blob began within another"));
        }
        let Some(wanted) = self.wanted.get(&digest) else {
            return Err(WorkspaceError::Protocol("a blob that was not asked for"));
        };
        let said = wanted.size;
        if said != found {
            return Err(WorkspaceError::WrongSize { digest, said, found });
        }
        let file =
            self.at(&wanted.files[0].path, |folder, name| match folder.create_file(name) {
                // What a broken stream left of it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    folder.remove_file(name)?;
                    folder.create_file(name)
                }
                made => made,
            })?;
        let hasher = blake3::Hasher::new();
        self.current = Some(Arriving { digest, missing: found, hasher, file });
        if found == 0 { self.complete() } else { Ok(()) }
    }

    /// More of the content.
    pub(super) fn data(&mut self, piece: &Bytes) -> Result<(), WorkspaceError> {
        let Some(current) = &mut self.current else {
            return Err(WorkspaceError::Protocol("data outside of a blob"));
        };
        let Some(missing) = current.missing.checked_sub(piece.len() as u64) else {
            return Err(WorkspaceError::Damaged(current.digest));
        };
        current.missing = missing;
        current.hasher.update(piece);
        let path = self.wanted.get(&current.digest).map_or(&[][..], |wanted| &wanted.files[0].path);
        current.file.write_all(piece).map_err(WorkspaceError::io("write", path))?;
        if missing == 0 { self.complete() } else { Ok(()) }
    }

    fn complete(&mut self) -> Result<(), WorkspaceError> {
        let Some(mut arrived) = self.current.take() else { return Ok(()) };
        let digest = arrived.digest;
        if Digest::from(arrived.hasher.finalize()) != digest {
            return Err(WorkspaceError::Damaged(digest));
        }
        let Some(wanted) = self.wanted.remove(&digest) else { return Ok(()) };
        for target in &wanted.files[1..] {
            self.at(&target.path, |folder, name| {
                let mut copy = folder.create_file(name)?;
                arrived.file.rewind()?;
                // The kernel shares the blocks where the file system can.
                io::copy(&mut arrived.file, &mut copy)?;
                seal(folder, name, &copy, target)
            })?;
        }
        let first = &wanted.files[0];
        self.at(&first.path, |folder, name| seal(folder, name, &arrived.file, first))
    }

    /// All has arrived: gives the directories their permissions and times, the deepest first.
    pub(super) fn finish(self) -> Result<(), WorkspaceError> {
        if let Some(digest) = self.wanted.keys().next() {
            return Err(WorkspaceError::Damaged(*digest));
        }
        for planned in self.folders.iter().rev() {
            let Kind::Directory { bits, .. } = planned.kind else { continue };
            self.at(&planned.path, |folder, name| {
                folder.set_bits(name, bits)?;
                planned.mtime_ns.map_or(Ok(()), |mtime| folder.set_mtime(name, mtime))
            })?;
        }
        Ok(())
    }

    fn at<T>(
        &self,
        path: &[u8],
        act: impl FnOnce(&Folder, &[u8]) -> io::Result<T>,
    ) -> Result<T, WorkspaceError> {
        let done = self.root.open_parent(path).and_then(|(folder, name)| act(&folder, name));
        done.map_err(WorkspaceError::io("make", path))
    }
}

fn seal(folder: &Folder, name: &[u8], file: &File, target: &Target) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(target.bits))?;
    target.mtime_ns.map_or(Ok(()), |mtime| folder.set_mtime(name, mtime))
}
