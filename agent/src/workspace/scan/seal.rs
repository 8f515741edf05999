//! The nodes of both trees, from the leaves to the root.

use std::ops::Range;

use bytes::Bytes;
use postq_common::{
    times::{Time, Times},
    tree::{Digest, Directory, Entry, Kind, Node},
};
use rayon::prelude::*;

use crate::workspace::{
    error::{WorkspaceError, shown},
    listing::{Folded, Listing, What},
};

/// The roots, and the nodes that were not known.
pub(super) struct Sealed {
    pub(super) content: Option<Digest>,
    pub(super) times: Option<Digest>,
    pub(super) nodes: Vec<(Digest, Bytes)>,
}

/// A node; its bytes only where it was not known.
type Made = Option<(Digest, Option<Bytes>)>;

/// Makes the nodes of all folders, and notes their digests in `listing`.
pub(super) fn seal(
    listing: &mut Listing,
    levels: &[Range<usize>],
    known: Option<&Listing>,
) -> Result<Sealed, WorkspaceError> {
    let mut nodes = Vec::new();
    for level in levels.iter().rev() {
        let folders = &listing.folders;
        let sealed: Vec<(Made, Made)> = folders[level.clone()]
            .par_iter()
            .map(|folder| seal_one(folder, folders, known))
            .collect::<Result<_, WorkspaceError>>()?;
        for (at, (content, times)) in level.clone().zip(sealed) {
            let folder = &mut listing.folders[at];
            folder.content = content.as_ref().map(|(digest, _)| *digest);
            folder.times = times.as_ref().map(|(digest, _)| *digest);
            let new = content.into_iter().chain(times);
            nodes.extend(new.filter_map(|(digest, bytes)| Some((digest, bytes?))));
        }
    }
    let root = listing.folders.first();
    let (content, times) = root.map(|root| (root.content, root.times)).unwrap_or_default();
    Ok(Sealed { content, times, nodes })
}

/// The nodes of one folder. What is known is dropped here: of a large tree of which little has changed the
/// nodes are as much as the names.
fn seal_one(
    folder: &Folded,
    folders: &[Folded],
    known: Option<&Listing>,
) -> Result<(Made, Made), WorkspaceError> {
    let unfit = |source| WorkspaceError::Unfit { path: shown(&folder.path), source };
    let (content, times) = parts(folder, folders);
    let content = Directory::new(content).and_then(|node| node.seal()).map_err(unfit)?;
    let times = Times::new(times).and_then(|node| node.seal()).map_err(unfit)?;
    let before = known.and_then(|known| known.folder(&folder.path));
    let old = before.map(|before| (before.content, before.times)).unwrap_or_default();
    let made = |node: Option<(Digest, Bytes)>, old| {
        node.map(|(digest, bytes)| (digest, (old != Some(digest)).then_some(bytes)))
    };
    Ok((made(content, old.0), made(times, old.1)))
}

fn parts(folder: &Folded, folders: &[Folded]) -> (Vec<Entry>, Vec<Time>) {
    let mut entries = Vec::with_capacity(folder.rows.len());
    let mut times = Vec::with_capacity(folder.rows.len());
    for row in &folder.rows {
        let (kind, below) = match &row.what {
            What::File { digest: None, .. } => continue,
            What::File { bits, size, digest: Some(digest), .. } => {
                (Kind::File { digest: *digest, size: *size, bits: *bits }, None)
            }
            What::Folder { bits, at } => {
                let below = &folders[*at as usize];
                (Kind::Directory { digest: below.content, bits: *bits }, below.times)
            }
            What::Symlink { target } => (Kind::Symlink { target: target.clone() }, None),
        };
        let name = row.name.clone();
        times.extend(row.mtime_ns.map(|mtime_ns| Time { name: name.clone(), mtime_ns, below }));
        entries.push(Entry { name, kind });
    }
    (entries, times)
}
