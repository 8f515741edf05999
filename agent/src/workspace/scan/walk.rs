//! Names and what they stand for, level by level.

use std::ops::Range;

use bytes::Bytes;
use postq_common::tree::{MAX_DEPTH, TreeError};
use rayon::prelude::*;

use crate::workspace::{
    error::{WorkspaceError, shown},
    folder::{Folder, Found, Look},
    listing::{Folded, Listing, Row, What, join},
    rules::Rules,
};

/// Fewer names are not worth a second processor.
const NAMES_AT_ONCE: usize = 256;

/// All that is below a root; nothing was read yet.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) listing: Listing,
    /// The places of the folders of each depth.
    pub(super) levels: Vec<Range<usize>>,
    pub(super) warnings: Vec<String>,
    pub(super) bytes: u64,
    /// Something was not taken: it was ignored, or is nothing that can be kept.
    pub(super) has_more: bool,
    entries: usize,
}

/// What one folder holds.
struct Opened {
    rows: Vec<Row>,
    warnings: Vec<String>,
    bytes: u64,
    has_more: bool,
}

enum Entry {
    Row(Row, u64),
    LeftOut(String),
}

pub(super) fn walk(
    root: &Folder,
    rules: &Rules,
    known: Option<&Listing>,
) -> Result<Walked, WorkspaceError> {
    let mut walked = Walked::default();
    let mut level = 0..1;
    walked.listing.add(Folded::default());
    while !level.is_empty() {
        let folders = &walked.listing.folders[level.clone()];
        let opened = folders.par_iter().map(|folder| open(root, &folder.path, rules, known));
        let opened: Vec<Opened> = opened.collect::<Result<_, _>>()?;
        walked.levels.push(level.clone());
        let next = walked.listing.folders.len();
        for (at, opened) in level.zip(opened) {
            walked.add(at, opened, rules)?;
        }
        level = next..walked.listing.folders.len();
        let depth = walked.levels.len() - 1;
        over("levels of directories", depth as u64, rules.limits.depth as u64)?;
    }
    Ok(walked)
}

impl Walked {
    fn add(&mut self, at: usize, opened: Opened, rules: &Rules) -> Result<(), WorkspaceError> {
        let Opened { mut rows, warnings, bytes, has_more } = opened;
        self.has_more |= has_more;
        self.warnings.extend(warnings);
        self.entries += rows.len();
        self.bytes = self.bytes.saturating_add(bytes);
        over("files and directories", self.entries as u64, rules.limits.entries as u64)?;
        over("bytes", self.bytes, rules.limits.bytes)?;
        for row in &mut rows {
            if let What::Folder { at: place, .. } = &mut row.what {
                let path = self.listing.folders[at].path_of(&row.name);
                *place = self.listing.add(Folded { path, ..Folded::default() });
            }
        }
        // The deepest directory that a tree can hold is empty.
        if self.levels.len() > MAX_DEPTH && !rows.is_empty() {
            return Err(TreeError::TooDeep.into());
        }
        self.listing.folders[at].rows = rows;
        Ok(())
    }
}

fn over(what: &'static str, found: u64, limit: u64) -> Result<(), WorkspaceError> {
    if found > limit { Err(WorkspaceError::TooMuch { what, limit }) } else { Ok(()) }
}

fn open(
    root: &Folder,
    path: &[u8],
    rules: &Rules,
    known: Option<&Listing>,
) -> Result<Opened, WorkspaceError> {
    let folder = root.open_below(path).map_err(WorkspaceError::io("open", path))?;
    let mut names = folder.names().map_err(WorkspaceError::io("list", path))?;
    names.sort_unstable();
    let before = known.and_then(|known| known.folder(path));
    let entries: Vec<Option<Entry>> = names
        .into_par_iter()
        .with_min_len(NAMES_AT_ONCE)
        .map(|name| entry(&folder, path, name, rules, before))
        .collect::<Result<_, _>>()?;
    let (rows, count) = (Vec::with_capacity(entries.len()), entries.len());
    let mut opened = Opened { rows, warnings: Vec::new(), bytes: 0, has_more: false };
    for entry in entries.into_iter().flatten() {
        match entry {
            Entry::Row(row, bytes) => {
                opened.rows.push(row);
                opened.bytes = opened.bytes.saturating_add(bytes);
            }
            Entry::LeftOut(warning) => opened.warnings.push(warning),
        }
    }
    opened.has_more = opened.rows.len() < count;
    Ok(opened)
}

fn entry(
    folder: &Folder,
    above: &[u8],
    name: Bytes,
    rules: &Rules,
    before: Option<&Folded>,
) -> Result<Option<Entry>, WorkspaceError> {
    let path = || join(above, &name);
    let failed = |verb| move |source| WorkspaceError::io(verb, &path())(source);
    let Look { found, mtime_ns } = folder.look(&name).map_err(failed("look at"))?;
    let is_folder = matches!(found, Found::Folder { .. });
    if !rules.keeps_all() && rules.is_ignored(&path(), is_folder) {
        return Ok(None);
    }
    let (what, bytes) = match found {
        Found::File { bits, size, stamp } => {
            let digest = match before.and_then(|before| before.row(&name)).map(|row| &row.what) {
                Some(What::File { size: old, digest, stamp: Some(seen), .. })
                    if *old == size && *seen == stamp =>
                {
                    *digest
                }
                _ => None,
            };
            (What::File { bits, size, digest, stamp: Some(stamp) }, size)
        }
        Found::Folder { bits } => (What::Folder { bits, at: 0 }, 0),
        Found::Symlink => {
            let target = folder.read_link(&name).map_err(failed("read the link"))?;
            (What::Symlink { target }, 0)
        }
        Found::Special(what) => {
            let path = shown(&path());
            return Ok(Some(Entry::LeftOut(format!("left out `{path}`: it is a {what}"))));
        }
    };
    Ok(Some(Entry::Row(Row { name, what, mtime_ns: Some(mtime_ns) }, bytes)))
}
