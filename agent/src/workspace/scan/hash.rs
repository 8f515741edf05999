//! Contents: small files whole, large ones in chunks.
//!
//! Memory is bounded: each processor holds one small file, or one window of a large one.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Read,
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
    listing::{Listing, Stamp, What},
};

/// How much of a large file is cut and hashed at once.
const WINDOW_BYTES: usize = 16 << 20;

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
    stamp: Option<Stamp>,
}

/// A file that was read.
struct Content {
    digest: Digest,
    /// Of a large file.
    list: Option<(ChunkList, Bytes)>,
}

/// Reads all files of `listing` whose content is not known, and puts it there.
pub(super) fn hash(root: &Folder, listing: &mut Listing) -> Result<Hashed, WorkspaceError> {
    let wanted = wanted(listing);
    let contents: Vec<Content> = {
        let listing = &*listing;
        wanted.par_iter().map(|file| read(root, listing, file)).collect::<Result<_, _>>()?
    };
    let mut hashed = Hashed::default();
    let mut seen = HashSet::with_capacity(contents.len());
    for (file, content) in wanted.iter().zip(contents) {
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
            Some((list, bytes)) => {
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
            if let What::File { size, digest: None, stamp, .. } = entry.what {
                wanted.push(Wanted { folder, row, size, stamp });
            }
        }
    }
    wanted
}

fn read(root: &Folder, listing: &Listing, wanted: &Wanted) -> Result<Content, WorkspaceError> {
    let folder = &listing.folders[wanted.folder as usize];
    let path = folder.path_of(&folder.rows[wanted.row as usize].name);
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
            let chunks = chunks(&mut file, wanted.size).map_err(failed())?;
            let unfit = |source| WorkspaceError::Unfit { path: shown(&path), source };
            let list = ChunkList::new(chunks).map_err(unfit)?;
            if list.size() != wanted.size {
                return Err(changed());
            }
            let (digest, bytes) = list.seal().map_err(unfit)?.ok_or_else(changed)?;
            Content { digest, list: Some((list, bytes)) }
        }
    };
    let now = stamp_of(&file.metadata().map_err(failed())?);
    if wanted.stamp.is_some_and(|stamp| stamp != now) { Err(changed()) } else { Ok(content) }
}

/// Cuts a file, at most `size` bytes of it. One window is hashed while the next one is read.
fn chunks(file: &mut File, size: u64) -> std::io::Result<Vec<Chunk>> {
    let mut source = file.take(size);
    let mut chunks = Vec::new();
    let (mut window, mut is_end) = fill(&mut source, Vec::new())?;
    loop {
        let lengths = cut(&window, is_end);
        let done: usize = lengths.iter().sum();
        let rest = window[done..].to_vec();
        let (hashed, next) = rayon::join(
            || hash_all(&window[..done], &lengths),
            || if is_end { Ok((Vec::new(), true)) } else { fill(&mut source, rest) },
        );
        chunks.extend(hashed);
        if is_end {
            return Ok(chunks);
        }
        (window, is_end) = next?;
    }
}

/// A window that begins with `held`; whether the file has ended.
fn fill(source: &mut impl Read, held: Vec<u8>) -> std::io::Result<(Vec<u8>, bool)> {
    let mut window = Vec::with_capacity(WINDOW_BYTES + MAX_CHUNK_BYTES);
    window.extend_from_slice(&held);
    let read = source.take(WINDOW_BYTES as u64).read_to_end(&mut window)?;
    Ok((window, read < WINDOW_BYTES))
}

fn hash_all(bytes: &[u8], lengths: &[usize]) -> Vec<Chunk> {
    let mut rest = bytes;
    let mut parts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let (part, after) = rest.split_at(*length);
        parts.push(part);
        rest = after;
    }
    let chunk = |part: &&[u8]| Chunk { digest: Digest::of(part), size: part.len() as u64 };
    parts.par_iter().map(chunk).collect()
}
