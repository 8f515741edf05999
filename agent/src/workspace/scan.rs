//! A directory read into trees. Blocking.
//!
//! It only reads. Invariant: every digest it gives is that of bytes it has read.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use bytes::Bytes;
use postq_common::{
    times::{Time, Times},
    tree::{Digest, Directory, Entry, Kind, MAX_DEPTH, MAX_ENTRIES, Node, TreeError},
};

use super::{
    error::{WorkspaceError, shown},
    folder::{Folder, Found, Look},
};

/// What a directory held.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) content: Option<Digest>,
    pub(super) times: Option<Digest>,
    /// The nodes of both trees.
    pub(super) nodes: HashMap<Digest, Bytes>,
    /// One file for each content.
    pub(super) files: BTreeMap<Digest, Source>,
    /// What was left out, for a person.
    pub(super) warnings: Vec<String>,
    entries: usize,
}

/// Where to read a content again.
pub(super) struct Source {
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
}

/// Reads all of `root`.
pub(super) fn scan(root: &Path) -> Result<Scan, WorkspaceError> {
    let name = root.as_os_str().as_encoded_bytes();
    let folder = Folder::open_root(root).map_err(WorkspaceError::io("open", name))?;
    let mut scan = Scan::default();
    (scan.content, scan.times) = scan.folder(&folder, &mut Vec::new(), 0)?;
    Ok(scan)
}

impl Scan {
    fn folder(
        &mut self,
        folder: &Folder,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(Option<Digest>, Option<Digest>), WorkspaceError> {
        let names = folder.names().map_err(WorkspaceError::io("list", path))?;
        self.entries += names.len();
        if depth >= MAX_DEPTH && !names.is_empty() {
            return Err(TreeError::TooDeep.into());
        }
        if self.entries > MAX_ENTRIES {
            return Err(TreeError::TooLarge.into());
        }
        let (mut entries, mut times) = (Vec::new(), Vec::new());
        let length = path.len();
        for name in names {
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            if let Some((kind, mtime_ns, below)) = self.entry(folder, &name, path, depth)? {
                times.push(Time { name: name.clone(), mtime_ns, below });
                entries.push(Entry { name, kind });
            }
            path.truncate(length);
        }
        let unfit = |source| WorkspaceError::Unfit { path: shown(path), source };
        let content = Directory::new(entries).and_then(|node| node.seal()).map_err(unfit)?;
        let times = Times::new(times).and_then(|node| node.seal()).map_err(unfit)?;
        Ok((self.keep(content), self.keep(times)))
    }

    /// One entry: its kind, its time, and the times below it.
    fn entry(
        &mut self,
        folder: &Folder,
        name: &[u8],
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<Option<(Kind, i64, Option<Digest>)>, WorkspaceError> {
        let look = folder.look(name).map_err(WorkspaceError::io("look at", path))?;
        let Look { found, mtime_ns } = look;
        Ok(match found {
            Found::File { bits } => {
                let kind = self.file(folder, name, path, bits)?;
                Some((kind, mtime_ns, None))
            }
            Found::Folder { bits } => {
                let below = folder.open(name).map_err(WorkspaceError::io("open", path))?;
                let (digest, times) = self.folder(&below, path, depth + 1)?;
                Some((Kind::Directory { digest, bits }, mtime_ns, times))
            }
            Found::Symlink => {
                let target =
                    folder.read_link(name).map_err(WorkspaceError::io("read the link", path))?;
                Some((Kind::Symlink { target }, mtime_ns, None))
            }
            Found::Special(what) => {
                self.warnings.push(format!("left out `{}`: it is a {what}", shown(path)));
                None
            }
        })
    }

    fn file(
        &mut self,
        folder: &Folder,
        name: &[u8],
        path: &[u8],
        bits: u32,
    ) -> Result<Kind, WorkspaceError> {
        let mut hasher = blake3::Hasher::new();
        let hashed = folder.open_file(name).and_then(|file| hasher.update_reader(file).map(drop));
        hashed.map_err(WorkspaceError::io("read", path))?;
        let (digest, size) = (Digest::from(hasher.finalize()), hasher.count());
        self.files.entry(digest).or_insert_with(|| Source { path: path.to_vec(), size });
        Ok(Kind::File { digest, size, bits })
    }

    fn keep(&mut self, sealed: Option<(Digest, Bytes)>) -> Option<Digest> {
        let (digest, bytes) = sealed?;
        self.nodes.insert(digest, bytes);
        Some(digest)
    }
}
