//! A directory read into trees. Blocking; on all processors.
//!
//! | file | owns |
//! |---|---|
//! | `walk` | names and what they stand for, level by level |
//! | `hash` | contents, large ones in chunks |
//! | `seal` | the nodes of both trees, from the leaves to the root |
//!
//! It only reads. Invariant: every digest it gives is that of bytes it has read, or of a file that
//! has not changed since somebody did.

mod hash;
mod seal;
mod walk;

use std::{collections::HashMap, path::Path};

use bytes::Bytes;
use postq_common::tree::Digest;
use postq_runtime::crash;

use super::{error::WorkspaceError, folder::Folder, listing::Listing, rules::Rules};

/// What a directory held.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) content: Option<Digest>,
    pub(super) times: Option<Digest>,
    /// The nodes of both trees, and lists of chunks, but those that were known before.
    pub(super) nodes: HashMap<Digest, Bytes>,
    /// Contents that were read, each once, in the order of the folders.
    pub(super) blobs: Vec<(Digest, Source)>,
    /// All that was seen.
    pub(super) listing: Listing,
    /// What was left out, for a person.
    pub(super) warnings: Vec<String>,
    /// The directory has more than the trees say: what was left out or ignored.
    pub(super) has_more: bool,
    /// What it took.
    pub(super) counts: Counts,
}

/// What a scan looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) hashed_bytes: u64,
}

/// Where to read a content again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Of the folder, and of the row in it.
    pub(super) folder: u32,
    pub(super) row: u32,
    /// Within the file, in bytes.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Reads `root`; files that have not changed since `known` was made are not read again.
pub(super) fn scan(
    root: &Path,
    rules: &Rules,
    known: Option<&Listing>,
) -> Result<Scan, WorkspaceError> {
    let name = root.as_os_str().as_encoded_bytes();
    let folder = Folder::open_root(root).map_err(WorkspaceError::io("open", name))?;
    let walked = walk::walk(&folder, rules, known)?;
    let (mut listing, warnings, has_more) = (walked.listing, walked.warnings, walked.has_more);
    crash::point("scan.walked");
    let mut hashed = hash::hash(&folder, &mut listing)?;
    let sealed = seal::seal(&mut listing, &walked.levels, known)?;
    hashed.nodes.extend(sealed.nodes);
    let counts = Counts {
        entries: listing.entries() as u64,
        bytes: walked.bytes,
        hashed_bytes: hashed.bytes,
    };
    Ok(Scan {
        content: sealed.content,
        times: sealed.times,
        nodes: hashed.nodes,
        blobs: hashed.blobs,
        listing,
        warnings,
        has_more,
        counts,
    })
}
