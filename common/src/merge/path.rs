//! The last-writers rule at one path.
//!
//! Invariant: without a conflict the result depends on the set of sides only, not on their order.

use std::collections::{HashMap, HashSet};

use super::{
    below::Children,
    request::{Conflict, Merge, OnConflict},
};
use crate::{
    provenance::{Below, Trace, Writers, delete, fold},
    tree::{Digest, Directory, Kind, Pass, TreeError},
};

/// One path as one parent left it, or as the merge makes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    /// The parent's place among the parents; the latest of those that left the very same.
    pub(super) rank: usize,
    /// `None`: nothing lives here.
    pub(super) kind: Option<Kind>,
    pub(super) trace: Trace,
    pub(super) mtime_ns: Option<i64>,
    /// The times node below.
    pub(super) times: Option<Digest>,
}

/// That something lives at or below a path because a last writer of it says so.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The first such path.
    pub(super) path: Vec<u8>,
    /// Its last writers.
    pub(super) writers: Writers,
    /// The latest parent that says so.
    pub(super) rank: usize,
}

/// One path merged.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) side: Side,
    pub(super) claim: Option<Claim>,
}

pub(super) struct Merger<'p, 'n, 'r> {
    pub(super) pass: &'p mut Pass<'n>,
    request: &'r Merge<'r>,
    conflicts: Vec<Conflict>,
    /// The last of all writers, for sets met before: the graph is slow to ask.
    known: HashMap<Writers, Writers>,
}

impl<'p, 'n, 'r> Merger<'p, 'n, 'r> {
    pub(super) fn new(pass: &'p mut Pass<'n>, request: &'r Merge<'r>) -> Self {
        Self { pass, request, conflicts: Vec::new(), known: HashMap::new() }
    }

    pub(super) fn into_conflicts(mut self) -> Vec<Conflict> {
        self.conflicts.sort();
        self.conflicts
    }

    /// Merges one path, and what lies below it.
    pub(super) fn entry(
        &mut self,
        path: &mut Vec<u8>,
        sides: Vec<Side>,
        depth: usize,
    ) -> Result<Joined, TreeError> {
        self.pass.visit(depth)?;
        let sides = distinct(sides);
        match sides.as_slice() {
            [] => return Ok(Joined::default()),
            [side] => return Ok(alone(path, side)),
            _ => {}
        }
        let writers = self.last_writers(&sides);
        let holders: Vec<&Side> = sides
            .iter()
            .filter(|side| writers.is_empty() || side.trace.writers.meets(&writers))
            .collect();
        let agree = holders.windows(2).all(|two| is_same_here(two[0], two[1]));
        if agree && let Some(joined) = same_below(path, &sides, &holders, &writers) {
            return Ok(joined);
        }
        let Some(children) = self.children(path, &sides, depth)? else {
            return Ok(Joined::default());
        };
        self.join(path, &sides, Held { writers, holders, agree }, children, depth)
    }

    fn join(
        &mut self,
        path: &[u8],
        sides: &[Side],
        held: Held<'_>,
        children: Children,
        depth: usize,
    ) -> Result<Joined, TreeError> {
        let claim = held.claim(path, &children);
        let is_flat = held.holders.iter().any(|side| directory(side).is_none());
        let lives_below = children.claim.is_some() || !children.content.is_empty();
        let is_conflict = !held.agree || (is_flat && lives_below);
        let mut winner = held.latest().clone();
        let mut writers = held.writers.clone();
        if is_conflict {
            let below = children.claim.as_ref().filter(|_| is_flat);
            self.report(path, &writers, below);
            let latest = winner.rank.max(below.map_or(0, |claim| claim.rank));
            if self.request.on_conflict == OnConflict::Fail {
                return Ok(Joined { side: winner, claim });
            }
            winner = sides.iter().find(|side| side.rank == latest).unwrap_or(&winner).clone();
            writers = Writers::new([self.request.task]);
        } else {
            winner.mtime_ns = held.holders.iter().filter_map(|side| side.mtime_ns).max();
        }
        let side = self.settle(winner, writers, children, depth)?;
        Ok(Joined { side, claim })
    }

    /// The path as `winner` has it, over the merged children.
    fn settle(
        &mut self,
        winner: Side,
        writers: Writers,
        children: Children,
        depth: usize,
    ) -> Result<Side, TreeError> {
        let content = Directory::new(children.content)?;
        let below = fold(self.pass, &writers, &content, children.traces)?;
        let digest = self.pass.put(&content)?;
        let trace = Trace { writers, below };
        let Side { rank, mtime_ns, .. } = winner;
        if let Some(Kind::Directory { bits, .. }) = winner.kind {
            let times = self.pass.put(&children.times)?;
            let kind = Some(Kind::Directory { digest, bits });
            return Ok(Side { rank, kind, trace, mtime_ns, times });
        }
        let trace = if digest.is_some() {
            let doomed = Kind::Directory { digest, bits: 0 };
            let Trace { below, .. } =
                delete(self.pass, doomed, trace.clone(), self.request.task, depth)?;
            Trace { below, ..trace }
        } else {
            trace
        };
        Ok(Side { rank, kind: winner.kind, trace, mtime_ns, times: None })
    }

    fn last_writers(&mut self, sides: &[Side]) -> Writers {
        let all = Writers::new(sides.iter().flat_map(|side| side.trace.writers.tasks()).copied());
        if let Some(last) = self.known.get(&all) {
            return last.clone();
        }
        let is_ancestor = self.request.is_ancestor;
        let precedes_one = |task: &i32| all.tasks().iter().any(|other| is_ancestor(*task, *other));
        let last = Writers::new(all.tasks().iter().filter(|task| !precedes_one(task)).copied());
        self.known.insert(all, last.clone());
        last
    }

    fn report(&mut self, path: &[u8], writers: &Writers, below: Option<&Claim>) {
        let all = below.map_or(&[][..], |claim| claim.writers.tasks());
        let all = Writers::new(writers.tasks().iter().chain(all).copied());
        self.conflicts.push(Conflict {
            path: path.to_vec(),
            writers: all.tasks().to_vec(),
            below: below.map(|claim| claim.path.clone()),
        });
    }
}

/// The last writers of a path, and the sides that hold them.
struct Held<'s> {
    writers: Writers,
    /// All sides where nobody wrote; never empty.
    holders: Vec<&'s Side>,
    agree: bool,
}

impl Held<'_> {
    fn latest(&self) -> &Side {
        self.holders
            .iter()
            .max_by_key(|side| side.rank)
            .expect("invariant: last writers are held by some side")
    }

    /// What lives at the path by a last writer's word, or else below it.
    fn claim(&self, path: &[u8], children: &Children) -> Option<Claim> {
        let living = self.holders.iter().filter(|side| side.kind.is_some());
        let here = living.map(|side| side.rank).max().filter(|_| !self.writers.is_empty());
        let below = children.claim.clone();
        let Some(rank) = here else { return below };
        let rank = rank.max(below.map_or(0, |claim| claim.rank));
        Some(Claim { path: path.to_vec(), writers: self.writers.clone(), rank })
    }
}

/// The sides that say something, each once, the latest first.
fn distinct(mut sides: Vec<Side>) -> Vec<Side> {
    sides.retain(|side| side.kind.is_some() || !side.trace.is_untouched());
    sides.sort_by_key(|side| std::cmp::Reverse(side.rank));
    let mut seen = HashSet::new();
    sides.retain(|side| {
        seen.insert((side.kind.clone(), side.trace.clone(), side.mtime_ns, side.times))
    });
    sides
}

/// All sides that say anything say the same.
fn alone(path: &[u8], side: &Side) -> Joined {
    let writers = side.trace.writers.clone();
    let is_claim = side.kind.is_some() && !side.trace.is_untouched();
    let claim = is_claim.then(|| Claim { path: path.to_vec(), writers, rank: side.rank });
    Joined { side: side.clone(), claim }
}

/// The merge where the sides agree on all that is below and on who wrote it, so that nothing below
/// needs to be looked at.
fn same_below(path: &[u8], sides: &[Side], holders: &[&Side], writers: &Writers) -> Option<Joined> {
    let first = &sides[0];
    // Where each side speaks for all that is below, its writers of the path may differ: so does
    // the merge.
    let is_same = |side: &Side| {
        directory(side).is_some()
            && directory(side) == directory(first)
            && side.times == first.times
            && side.trace.below == first.trace.below
            && (side.trace.below == Below::Same || side.trace.writers == first.trace.writers)
    };
    if !sides.iter().all(is_same) {
        return None;
    }
    let trace = Trace { writers: writers.clone(), below: first.trace.below.clone() };
    let latest = holders.iter().max_by_key(|side| side.rank)?;
    let mtime_ns = holders.iter().filter_map(|side| side.mtime_ns).max();
    let side = Side { trace, mtime_ns, ..(*latest).clone() };
    Some(alone(path, &side))
}

fn directory(side: &Side) -> Option<Option<Digest>> {
    side.kind.as_ref().and_then(Kind::directory)
}

fn is_same_here(a: &Side, b: &Side) -> bool {
    match (&a.kind, &b.kind) {
        (Some(a), Some(b)) => a.is_same_here(b),
        (None, None) => true,
        _ => false,
    }
}
