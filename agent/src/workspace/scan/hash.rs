//! Contents: small files whole, large ones in chunks.
//!
//! Memory is bounded: each processor holds one file that fits into a window, and after them two
//! windows of a larger one are held.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{Read, Take},
};

use bytes::Bytes;
use postq_common::{
    chunk::{Chunk, ChunkList, MAX_CHUNK_BYTES, MAX_WHOLE_BYTES, cut, is_chunked},
    tree::{Digest, Node},
};
use rayon::prelude::*;

use super::Source;
use crate::workspace::{
    error::{WorkspaceError, shown},
    folder::{Folder, stamp_of},
    listing::{Listing, What},
};

/// How much of a large file is cut and hashed at once.
const WINDOW_BYTES: usize = 8 << 20;

/// What was read.
#[derive(Default)]
pub(super) struct Hashed {
    /// Lists of chunks.
    pub(super) nodes: HashMap<Digest, Bytes>,
    pub(super) blobs: Vec<(Digest, Source)>,
    pub(super) bytes: u64,
}

/// A file to read.
struct Wanted {
    folder: u32,
    row: u32,
    size: u64,
}

/// A file that was read.
struct Content {
    digest: Digest,
    /// Of a large file; most are not.
    list: Option<Box<(ChunkList, Bytes)>>,
}

/// Reads all files of `listing` whose content is not known, and puts it there.
pub(super) fn hash(root: &Folder, listing: &mut Listing) -> Result<Hashed, WorkspaceError> {
    let wanted = wanted(listing);
    let contents = read_all(root, listing, &wanted)?;
    let mut hashed = Hashed::default();
    let mut seen = HashSet::with_capacity(contents.len());
    for (file, content) in wanted.iter().zip(contents.into_iter().flatten()) {
        let Wanted { folder, row, size, .. } = *file;
        hashed.bytes += size;
        let what = &mut listing.folders[folder as usize].rows[row as usize].what;
        if let What::File { digest, .. } = what {
            *digest = Some(content.digest);
        }
        match content.list {
            None if seen.insert(content.digest) => {
                hashed.blobs.push((content.digest, Source { folder, row, offset: 0, size }));
            }
            None => {}
            Some(list) => {
                let (list, bytes) = *list;
                hashed.nodes.insert(content.digest, bytes);
                let mut offset = 0;
                for Chunk { digest, size } in list.chunks().iter().copied() {
                    if seen.insert(digest) {
                        hashed.blobs.push((digest, Source { folder, row, offset, size }));
                    }
                    offset += size;
                }
            }
        }
    }
    Ok(hashed)
}

fn wanted(listing: &Listing) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (folder, of) in (0..).zip(&listing.folders) {
        for (row, entry) in (0..).zip(&of.rows) {
            if let What::File { size, digest: None, .. } = entry.what {
                wanted.push(Wanted { folder, row, size });
            }
        }
    }
    wanted
}

impl Wanted {
    fn fits_window(&self) -> bool {
        self.size < WINDOW_BYTES as u64
    }
}

/// Beside each other those that fit into a window; the others, which keep all processors busy, one
/// after another. None of them is left out.
fn read_all(
    root: &Folder,
    listing: &Listing,
    wanted: &[Wanted],
) -> Result<Vec<Option<Content>>, WorkspaceError> {
    let small = wanted.par_iter().map(|file| {
        let content = file.fits_window().then(|| read(root, listing, file));
        content.transpose()
    });
    let mut contents: Vec<Option<Content>> = small.collect::<Result<_, _>>()?;
    for (file, content) in wanted.iter().zip(&mut contents) {
        if content.is_none() {
            *content = Some(read(root, listing, file)?);
        }
    }
    Ok(contents)
}

fn read(root: &Folder, listing: &Listing, wanted: &Wanted) -> Result<Content, WorkspaceError> {
    let folder = &listing.folders[wanted.folder as usize];
    let row = &folder.rows[wanted.row as usize];
    let path = folder.path_of(&row.name);
    let failed = || WorkspaceError::io("read", &path);
    let changed = || WorkspaceError::Changed { path: shown(&path) };
    let mut file = root.open_file_below(&path).map_err(failed())?;
    let content = match is_chunked(wanted.size) {
        false => {
            let mut bytes = Vec::with_capacity(wanted.size as usize + 1);
            let most = (&mut file).take(MAX_WHOLE_BYTES + 1).read_to_end(&mut bytes);
            if most.map_err(failed())? as u64 != wanted.size {
                return Err(changed());
            }
            Content { digest: Digest::of(&bytes), list: None }
        }
        true => {
            let chunks = match wanted.fits_window() {
                true => few_chunks(&mut file, wanted.size),
                false => many_chunks(&mut file, wanted.size),
            };
            let chunks = chunks.map_err(failed())?;
            let unfit = |source| WorkspaceError::Unfit { path: shown(&path), source };
            let list = ChunkList::new(chunks).map_err(unfit)?;
            if list.size() != wanted.size {
                return Err(changed());
            }
            let (digest, bytes) = list.seal().map_err(unfit)?.ok_or_else(changed)?;
            Content { digest, list: Some(Box::new((list, bytes))) }
        }
    };
    let now = stamp_of(&file.metadata().map_err(failed())?);
    match row.what {
        What::File { stamp: Some(seen), .. } if seen != now => Err(changed()),
        _ => Ok(content),
    }
}

/// A part of a large file.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// Of the chunks that it begins with.
    lengths: Vec<usize>,
    /// The file ends with it.
    is_end: bool,
}

impl Window {
    /// Begins with what the window before has left, and reads on.
    fn fill(&mut self, before: &Self, source: &mut Take<&mut File>) -> std::io::Result<()> {
        let more = source.limit().min(WINDOW_BYTES as u64);
        self.bytes.clear();
        self.bytes.reserve_exact(MAX_CHUNK_BYTES + more as usize);
        self.bytes.extend_from_slice(before.rest());
        let read = source.take(more).read_to_end(&mut self.bytes)?;
        self.is_end = read < WINDOW_BYTES;
        self.lengths = cut(&self.bytes, self.is_end);
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.lengths.iter().sum::<usize>()..]
    }

    fn chunks(&self) -> Vec<&[u8]> {
        let mut rest = &self.bytes[..];
        let mut chunks = Vec::with_capacity(self.lengths.len());
        for length in &self.lengths {
            let (chunk, after) = rest.split_at(*length);
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }
}

fn chunk(bytes: &[u8]) -> Chunk {
    Chunk { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

/// Cuts a file of at most `size` bytes that fits into a window.
fn few_chunks(file: &mut File, size: u64) -> std::io::Result<Vec<Chunk>> {
    let mut window = Window::default();
    window.fill(&Window::default(), &mut file.take(size))?;
    Ok(window.chunks().into_iter().map(chunk).collect())
}

/// Cuts a larger one. While a window is hashed, the next one is read and cut.
fn many_chunks(file: &mut File, size: u64) -> std::io::Result<Vec<Chunk>> {
    let mut source = file.take(size);
    let (mut window, mut next) = (Window::default(), Window::default());
    window.fill(&next, &mut source)?;
    let mut chunks = Vec::new();
    loop {
        let hash = || window.chunks().into_par_iter().map(chunk).collect::<Vec<_>>();
        if window.is_end {
            chunks.extend(hash());
            return Ok(chunks);
        }
        let (hashed, filled) = rayon::join(hash, || next.fill(&window, &mut source));
        filled?;
        chunks.extend(hashed);
        std::mem::swap(&mut window, &mut next);
    }
}
