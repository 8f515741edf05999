//! What a task wrote: its output compared with its input.
//!
//! A task writes a path when its output differs there from its input in kind, bits, content or
//! target; a deletion is a write; a modification time is not.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Below, Provenance, Trace, Traced, Writers, fold};
use crate::tree::{Digest, Directory, Kind, Nodes, Pass, Snapshot, Step, TreeError};

/// The provenance of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its root.
    pub provenance: Option<Digest>,
    /// Its nodes that were not at hand before, to be stored.
    pub nodes: Vec<(Digest, Bytes)>,
}

/// The provenance of what `task` made out of `input`: the content tree `output`. Descends only
/// where the two differ.
pub fn record(
    nodes: &mut Nodes,
    input: &Snapshot,
    output: Option<Digest>,
    task: i32,
) -> Result<Step<Recorded>, TreeError> {
    let root = |digest| Kind::Directory { digest, bits: 0 };
    let step = Pass::run(nodes, |pass| {
        let before =
            Before { kind: Some(root(input.content)), trace: Trace::of_root(input.provenance) };
        Recorder { pass, task }.entry(before, Some(&root(output)), 0)
    })?;
    Ok(match step {
        Step::Need(digests) => Step::Need(digests),
        Step::Done((trace, nodes)) => Step::Done(Recorded { provenance: trace.node(), nodes }),
    })
}

/// The trace of a path after `task` has deleted it, with all that lives below.
pub(crate) fn delete(
    pass: &mut Pass<'_>,
    kind: Kind,
    trace: Trace,
    task: i32,
    depth: usize,
) -> Result<Trace, TreeError> {
    Recorder { pass, task }.entry(Before { kind: Some(kind), trace }, None, depth)
}

struct Recorder<'p, 'n> {
    pass: &'p mut Pass<'n>,
    task: i32,
}

/// A path as the task found it.
struct Before {
    kind: Option<Kind>,
    trace: Trace,
}

impl Recorder<'_, '_> {
    fn entry(
        &mut self,
        before: Before,
        after: Option<&Kind>,
        depth: usize,
    ) -> Result<Trace, TreeError> {
        self.pass.visit(depth)?;
        if before.kind.as_ref() == after {
            return Ok(before.trace);
        }
        let is_same_here = matches!((&before.kind, after), (Some(a), Some(b)) if a.is_same_here(b));
        let writers =
            if is_same_here { before.trace.writers.clone() } else { Writers::new([self.task]) };
        let held_nothing = before.kind.as_ref().and_then(Kind::directory).flatten().is_none();
        if !is_same_here && held_nothing && before.trace.below == Below::Same {
            return Ok(Trace { writers, below: Below::Same });
        }
        let below = self.below(&before, after, &writers, depth)?;
        Ok(Trace { writers, below })
    }

    fn below(
        &mut self,
        before: &Before,
        after: Option<&Kind>,
        writers: &Writers,
        depth: usize,
    ) -> Result<Below, TreeError> {
        let node = |kind: Option<&Kind>| kind.and_then(Kind::directory).flatten();
        let old = self.pass.get::<Directory>(node(before.kind.as_ref()))?;
        let new = self.pass.get::<Directory>(node(after))?;
        let traces = self.pass.get::<Provenance>(before.trace.node())?;
        let (Some(old), Some(new), Some(traces)) = (old, new, traces) else {
            return Ok(Below::Same);
        };
        let living = old.entries().iter().chain(new.entries()).map(|entry| &entry.name);
        let traced = traces.entries().iter().map(|entry| &entry.name);
        let names: BTreeSet<&Bytes> = living.chain(traced).collect();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let kind = old.get(name).cloned();
            let trace = before.trace.child(&traces, name, kind.is_some());
            let trace = self.entry(Before { kind, trace }, new.get(name), depth + 1)?;
            entries.push(Traced { name: name.clone(), trace });
        }
        Ok(fold(self.pass, writers, &new, entries)?)
    }
}
