//! The walk over what lies below a path.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::path::{Claim, Joined, Merger, Side};
use crate::{
    provenance::{Provenance, Traced},
    times::{Time, Times},
    tree::{Directory, Entry, Kind, TreeError},
};

/// What lies below a path, merged.
pub(super) struct Children {
    pub(super) content: Vec<Entry>,
    pub(super) traces: Vec<Traced>,
    pub(super) times: Times,
    /// The first child that lives by a last writer's word.
    pub(super) claim: Option<Claim>,
}

/// One side's nodes below a path.
struct Opened<'s> {
    side: &'s Side,
    content: Arc<Directory>,
    traces: Arc<Provenance>,
    times: Arc<Times>,
}

impl Opened<'_> {
    fn child(&self, name: &[u8]) -> Side {
        let kind = self.content.get(name).cloned();
        let trace = self.side.trace.child(&self.traces, name, kind.is_some());
        let time = self.times.get(name).filter(|_| kind.is_some());
        let mtime_ns = time.map(|time| time.mtime_ns);
        let is_directory = kind.as_ref().is_some_and(|kind| kind.directory().is_some());
        let times = time.filter(|_| is_directory).and_then(|time| time.below);
        Side { rank: self.side.rank, kind, trace, mtime_ns, times }
    }
}

impl Merger<'_, '_, '_> {
    /// Merges what lies below `path`; `None` where nodes are missing.
    pub(super) fn children(
        &mut self,
        path: &mut Vec<u8>,
        sides: &[Side],
        depth: usize,
    ) -> Result<Option<Children>, TreeError> {
        let Some(opened) = self.open(sides)? else { return Ok(None) };
        let named = named(&opened);
        let (mut content, mut traces, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut claim: Option<Claim> = None;
        let length = path.len();
        for (name, sides) in named {
            extend(path, name);
            let sides = sides.into_iter().map(|side| side.child(name)).collect();
            let Joined { side, claim: claimed } = self.entry(path, sides, depth + 1)?;
            path.truncate(length);
            claim = first(claim, claimed);
            let name = name.clone();
            if let (Some(_), Some(mtime_ns)) = (&side.kind, side.mtime_ns) {
                times.push(Time { name: name.clone(), mtime_ns, below: side.times });
            }
            traces.push(Traced { name: name.clone(), trace: side.trace });
            content.extend(side.kind.map(|kind| Entry { name, kind }));
        }
        Ok(Some(Children { content, traces, times: Times::new(times)?, claim }))
    }

    /// Opens all sides, so that all that is missing is noted at once.
    fn open<'s>(&mut self, sides: &'s [Side]) -> Result<Option<Vec<Opened<'s>>>, TreeError> {
        let mut opened = Vec::with_capacity(sides.len());
        for side in sides {
            let digest = side.kind.as_ref().and_then(Kind::directory).flatten();
            let content = self.pass.get(digest)?;
            let traces = self.pass.get(side.trace.node())?;
            let times = self.pass.get(side.times)?;
            if let (Some(content), Some(traces), Some(times)) = (content, traces, times) {
                opened.push(Opened { side, content, traces, times });
            }
        }
        Ok((opened.len() == sides.len()).then_some(opened))
    }
}

/// All names, each with the sides that know it: of a hundred siblings that wrote a directory together
/// one or two, and any other one has nothing to say of it.
fn named<'o, 's>(opened: &'o [Opened<'s>]) -> BTreeMap<&'o Bytes, Vec<&'o Opened<'s>>> {
    let mut named: BTreeMap<&Bytes, Vec<&Opened<'s>>> = BTreeMap::new();
    for side in opened {
        let contents = side.content.entries().iter().map(|entry| &entry.name);
        for name in contents.chain(side.traces.entries().iter().map(|entry| &entry.name)) {
            let sides = named.entry(name).or_default();
            if sides.last().is_none_or(|last| !std::ptr::eq(*last, side)) {
                sides.push(side);
            }
        }
    }
    named
}

fn extend(path: &mut Vec<u8>, name: &Bytes) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn first(so_far: Option<Claim>, next: Option<Claim>) -> Option<Claim> {
    match (so_far, next) {
        (Some(claim), Some(next)) => Some(Claim { rank: claim.rank.max(next.rank), ..claim }),
        (claim, next) => claim.or(next),
    }
}
