//! A plan made into files. Blocking but for the arrival of blobs; on all processors.
//!
//! Invariant: only verified content is written, and a file gets its permissions and time when it is
//! complete.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hashbrown::HashTable;
use postq_common::{
    chunk::{Chunk, ChunkList, is_chunked},
    tree::Digest,
};
use rayon::prelude::*;

use super::{
    error::WorkspaceError,
    folder::{self, Folder, stamp_of},
    listing::{Listing, Stamp, What},
    near::Near,
    plan::Plan,
    present::{Kept, Present},
};

/// The end of a chain of parts.
const NONE: u32 = u32::MAX;

/// Files that wait for their content.
pub(super) struct Checkout {
    root: Folder,
    listing: Listing,
    /// In the order of the folders.
    parts: Vec<Part>,
    /// The first part of each content.
    firsts: HashTable<u32>,
    hasher: RandomState,
    /// Whether the content of a first part is there.
    has_arrived: Vec<AtomicBool>,
    /// Large files, with how many parts each lacks.
    large: HashMap<At, AtomicU32>,
    stamps: Mutex<Vec<(At, Stamp)>>,
    local_bytes: AtomicU64,
    chunks: BTreeMap<Digest, ChunkList>,
}

/// A file: its folder, and its row there.
type At = (u32, u32);

/// A file of a plan.
struct Wanted {
    at: At,
    digest: Digest,
    size: u64,
}

/// A content in its place in one file.
struct Part {
    digest: Digest,
    file: At,
    offset: u64,
    size: u64,
    /// The next part with the same content.
    next: u32,
}

impl Checkout {
    /// Makes all directories and symlinks of `plan`, the files that are `near`, and the other large
    /// ones without content, in a directory that is empty or holds what `present` says.
    pub(super) fn begin(
        root: Folder,
        plan: Plan,
        present: Option<&Present>,
        near: impl FnOnce(&mut dyn Iterator<Item = Digest>) -> Near,
    ) -> Result<(Self, Near), WorkspaceError> {
        let Plan { listing, chunks, .. } = plan;
        let mut checkout = Self {
            root,
            listing,
            parts: Vec::new(),
            firsts: HashTable::new(),
            hasher: RandomState::new(),
            has_arrived: Vec::new(),
            large: HashMap::new(),
            stamps: Mutex::default(),
            local_bytes: AtomicU64::new(0),
            chunks,
        };
        for at in 0..checkout.listing.folders.len() {
            checkout.make_folder(at, present)?;
        }
        let (mut absent, mut rewritten) = (Vec::new(), Vec::new());
        for file in checkout.files() {
            match checkout.keep(&file, present)? {
                Kept::Whole(stamp) => checkout.has(&file, stamp),
                Kept::Chunks(stay) => rewritten.push((file, stay)),
                Kept::Nothing => absent.push(file.at),
            }
        }
        let near = near(&mut absent.iter().filter_map(|at| checkout.file(*at)).map(|it| it.digest));
        let clone = |at: &At| match checkout.file(*at) {
            Some(file) => checkout.clone_near(&file, &near),
            None => Ok(false),
        };
        let cloned = absent.par_iter().map(clone);
        let cloned: Vec<bool> = cloned.collect::<Result<_, _>>()?;
        let to_come = cloned.iter().filter(|is_cloned| !**is_cloned).count();
        checkout.parts.reserve_exact(to_come);
        checkout.firsts = HashTable::with_capacity(to_come);
        for (file, stay) in rewritten {
            checkout.wait_for(file, Some(&stay))?;
        }
        for (at, _) in absent.into_iter().zip(cloned).filter(|(_, is_cloned)| !is_cloned) {
            if let Some(file) = checkout.file(at) {
                checkout.wait_for(file, None)?;
            }
        }
        checkout.has_arrived.resize_with(checkout.parts.len(), AtomicBool::default);
        Ok((checkout, near))
    }

    /// All files, in the order of the folders.
    fn files(&self) -> impl Iterator<Item = Wanted> {
        let folders = (0..).zip(&self.listing.folders);
        let all =
            folders.flat_map(|(folder, of)| (0..).zip(&of.rows).map(move |(row, _)| (folder, row)));
        all.filter_map(|at| self.file(at))
    }

    /// The file there, where it is one.
    fn file(&self, at: At) -> Option<Wanted> {
        match self.listing.folders[at.0 as usize].rows[at.1 as usize].what {
            What::File { size, digest: Some(digest), .. } => Some(Wanted { at, digest, size }),
            _ => None,
        }
    }

    /// The whole of a file is in its place.
    fn has(&self, file: &Wanted, stamp: Stamp) {
        self.local_bytes.fetch_add(file.size, Ordering::Relaxed);
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).push((file.at, stamp));
    }

    /// Whether a file could be made from one that is near.
    fn clone_near(&self, file: &Wanted, near: &Near) -> Result<bool, WorkspaceError> {
        let Some(from) = near.unchanged(&file.digest, file.size) else { return Ok(false) };
        let path = self.path(file.at);
        let made = self.root.create_file_below(&path);
        let made = made.map_err(WorkspaceError::new_name("make", &path))?;
        if from.clone_to(&made).unwrap_or(false) {
            let completed = self.complete(file.at, &made);
            completed.map_err(WorkspaceError::io("make", &path))?;
            self.local_bytes.fetch_add(file.size, Ordering::Relaxed);
            return Ok(true);
        }
        let removed = self.root.remove_below(&path);
        removed.map_err(WorkspaceError::io("remove", &path))?;
        Ok(false)
    }

    /// Notes the parts of a file that are to come: all but those that `stay`, by their offsets, of a
    /// large one that is there.
    fn wait_for(
        &mut self,
        file: Wanted,
        stay: Option<&HashSet<u64>>,
    ) -> Result<(), WorkspaceError> {
        let Wanted { at, digest, size } = file;
        if !is_chunked(size) {
            return self.expect(Part { digest, file: at, offset: 0, size, next: NONE });
        }
        let list = self.chunks.get(&digest).ok_or(WorkspaceError::Damaged(digest))?;
        let chunks = list.chunks().to_vec();
        if stay.is_none() {
            self.make_large(at, size)?;
        }
        let (mut missing, mut offset) = (0, 0);
        for Chunk { digest, size } in chunks {
            if stay.is_some_and(|stay| stay.contains(&offset)) {
                self.local_bytes.fetch_add(size, Ordering::Relaxed);
            } else {
                self.expect(Part { digest, file: at, offset, size, next: NONE })?;
                missing += 1;
            }
            offset += size;
        }
        self.large.insert(at, AtomicU32::new(missing));
        if missing == 0 { self.complete_large(at) } else { Ok(()) }
    }

    /// What is there of a file.
    fn keep(&self, file: &Wanted, present: Option<&Present>) -> Result<Kept, WorkspaceError> {
        let Some(present) = present else { return Ok(Kept::Nothing) };
        let of = &self.listing.folders[file.at.0 as usize];
        let row = &of.rows[file.at.1 as usize];
        let prepared = present.prepare(&self.root, of, row, self.chunks.get(&file.digest));
        prepared.map_err(WorkspaceError::io("prepare", &of.path_of(&row.name)))
    }

    fn complete_large(&self, at: At) -> Result<(), WorkspaceError> {
        let path = self.path(at);
        let completed = self.root.open_file_below(&path).and_then(|file| self.complete(at, &file));
        completed.map_err(WorkspaceError::io("make", &path))
    }

    fn make_folder(&self, at: usize, present: Option<&Present>) -> Result<(), WorkspaceError> {
        let of = &self.listing.folders[at];
        let opened = self.root.open_below(&of.path);
        let folder = opened.map_err(WorkspaceError::io("make", &of.path))?;
        if let Some(present) = present {
            present.clear(&folder, of)?;
        }
        for row in &of.rows {
            let is_there = present.is_some_and(|present| present.has(of, row));
            let made = match &row.what {
                What::File { .. } => Ok(()),
                What::Folder { .. } if is_there => Ok(()),
                What::Folder { .. } => folder.create_folder(&row.name),
                What::Symlink { .. } if is_there => {
                    row.mtime_ns.map_or(Ok(()), |mtime| folder.set_mtime(&row.name, mtime))
                }
                What::Symlink { target } => {
                    folder.create_symlink(&row.name, target).and_then(|()| {
                        row.mtime_ns.map_or(Ok(()), |mtime| folder.set_mtime(&row.name, mtime))
                    })
                }
            };
            made.map_err(WorkspaceError::new_name("make", &of.path_of(&row.name)))?;
        }
        Ok(())
    }

    fn make_large(&self, file: At, size: u64) -> Result<(), WorkspaceError> {
        let path = self.path(file);
        let made = self.root.create_file_below(&path).and_then(|file| file.set_len(size));
        made.map_err(WorkspaceError::new_name("make", &path))
    }

    fn expect(&mut self, part: Part) -> Result<(), WorkspaceError> {
        let (digest, found) = (part.digest, part.size);
        let at = u32::try_from(self.parts.len()).unwrap_or(NONE);
        self.parts.push(part);
        let (parts, hasher) = (&self.parts, &self.hasher);
        let first = self.firsts.entry(
            hasher.hash_one(digest),
            |at| parts[*at as usize].digest == digest,
            |at| hasher.hash_one(parts[*at as usize].digest),
        );
        let first = *first.or_insert(at).get();
        if first != at {
            let said = self.parts[first as usize].size;
            if said != found {
                return Err(WorkspaceError::WrongSize { digest, said, found });
            }
            let next = std::mem::replace(&mut self.parts[first as usize].next, at);
            self.parts[at as usize].next = next;
        }
        Ok(())
    }

    /// The contents that are still to come, with their sizes, in the order of the folders.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (Digest, u64)> {
        let firsts = self.parts.iter().zip(&self.has_arrived).zip(0..);
        firsts.filter_map(|((part, has_arrived), at)| {
            let is_open =
                !has_arrived.load(Ordering::Relaxed) && self.first(&part.digest) == Some(at);
            is_open.then_some((part.digest, part.size))
        })
    }

    /// Its first part.
    fn first(&self, digest: &Digest) -> Option<u32> {
        let hash = self.hasher.hash_one(digest);
        self.firsts.find(hash, |at| self.parts[*at as usize].digest == *digest).copied()
    }

    /// Whether this content is still to come.
    pub(super) fn wants(&self, digest: &Digest) -> bool {
        let first = self.first(digest);
        first.is_some_and(|at| !self.has_arrived[at as usize].load(Ordering::Relaxed))
    }

    /// Whether the file of this name, large or not, is still to come.
    pub(super) fn wants_file(&self, digest: &Digest) -> bool {
        match self.chunks.get(digest) {
            Some(list) => list.chunks().iter().any(|chunk| self.wants(&chunk.digest)),
            None => self.wants(digest),
        }
    }

    /// How many bytes were here already.
    pub(super) fn local_bytes(&self) -> u64 {
        self.local_bytes.load(Ordering::Relaxed)
    }

    /// Takes the content of that name from `file`, as far as it is there. What cannot be written here is
    /// an error: it counts as come, and nobody would fetch it.
    pub(super) fn copy(&self, digest: Digest, file: &File) -> Result<(), WorkspaceError> {
        let mut at = 0;
        let parts: Vec<(Digest, u64, u64)> = match self.chunks.get(&digest) {
            None => self.size_of(&digest).map(|size| (digest, 0, size)).into_iter().collect(),
            Some(list) => {
                let part = |chunk: &Chunk| {
                    at += chunk.size;
                    (chunk.digest, at - chunk.size, chunk.size)
                };
                list.chunks().iter().map(part).collect()
            }
        };
        for (digest, offset, size) in parts {
            if !self.wants(&digest) {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
            if file.read_exact_at(&mut bytes, offset).is_ok() && Digest::of(&bytes) == digest {
                self.take_one(digest, &bytes)?;
                self.local_bytes.fetch_add(size, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn size_of(&self, digest: &Digest) -> Option<u64> {
        self.first(digest).map(|at| self.parts[at as usize].size)
    }

    /// Writes contents that were verified; those that nobody waits for are an error.
    pub(super) fn take(&self, contents: Vec<(Digest, Bytes)>) -> Result<(), WorkspaceError> {
        contents.into_par_iter().try_for_each(|(digest, bytes)| self.take_one(digest, &bytes))
    }

    fn take_one(&self, digest: Digest, bytes: &[u8]) -> Result<(), WorkspaceError> {
        let Some(first) = self.first(&digest) else {
            return Err(WorkspaceError::Protocol("a blob that was not asked for"));
        };
        let (said, found) = (self.parts[first as usize].size, bytes.len() as u64);
        if said != found {
            return Err(WorkspaceError::WrongSize { digest, said, found });
        }
        if self.has_arrived[first as usize].swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let mut at = first;
        while let Some(part) = self.parts.get(at as usize) {
            let path = self.path(part.file);
            self.write(part, &path, bytes).map_err(WorkspaceError::new_name("write", &path))?;
            at = part.next;
        }
        Ok(())
    }

    fn write(&self, part: &Part, path: &[u8], bytes: &[u8]) -> io::Result<()> {
        let Some(missing) = self.large.get(&part.file) else {
            let mut file = self.root.create_file_below(path)?;
            file.write_all(bytes)?;
            return self.complete(part.file, &file);
        };
        let file = self.root.write_file_below(path)?;
        file.write_all_at(bytes, part.offset)?;
        // Whoever writes the last part has seen all others done.
        match missing.fetch_sub(1, Ordering::AcqRel) {
            1 => self.complete(part.file, &file),
            _ => Ok(()),
        }
    }

    fn complete(&self, at: At, file: &File) -> io::Result<()> {
        let row = &self.listing.folders[at.0 as usize].rows[at.1 as usize];
        let What::File { bits, .. } = row.what else { return Ok(()) };
        folder::seal(file, bits, row.mtime_ns)?;
        let stamp = stamp_of(&file.metadata()?);
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).push((at, stamp));
        Ok(())
    }

    /// All has arrived: gives the directories their permissions and times, the deepest first.
    /// Returns what is there now.
    pub(super) fn finish(self: Arc<Self>) -> Result<Listing, WorkspaceError> {
        if let Some((digest, _)) = self.wanted().next() {
            return Err(WorkspaceError::Damaged(digest));
        }
        let Some(all) = Arc::into_inner(self) else {
            return Err(WorkspaceError::Protocol("a checkout is still being written"));
        };
        let Self { root, mut listing, stamps, .. } = all;
        for of in listing.folders.iter().rev() {
            for row in of.rows.iter() {
                let What::Folder { bits, .. } = row.what else { continue };
                let path = of.path_of(&row.name);
                let sealed = root.open_below(&path).and_then(|it| it.seal(bits, row.mtime_ns));
                sealed.map_err(WorkspaceError::io("make", &path))?;
            }
        }
        for (at, seen) in stamps.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let what = &mut listing.folders[at.0 as usize].rows[at.1 as usize].what;
            if let What::File { stamp, .. } = what {
                *stamp = Some(seen);
            }
        }
        Ok(listing)
    }

    fn path(&self, (folder, row): At) -> Vec<u8> {
        let of = &self.listing.folders[folder as usize];
        of.path_of(&of.rows[row as usize].name)
    }
}
