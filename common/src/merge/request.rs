//! What is asked of a merge, and what comes of it.

use bytes::Bytes;

use super::path::{Merger, Side};
use crate::{
    provenance::Trace,
    tree::{Digest, Kind, Nodes, Pass, Snapshot, Step, TreeError},
};

/// What to do where last writers disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// Nothing is merged; the conflicts are told.
    Fail,
    /// Of the parents in the conflict the one listed last wins, and the joining task becomes the
    /// writer of the path.
    PreferLast,
}

/// A question: what does `task` start from?
#[derive(Clone, Copy)]
pub struct Merge<'a> {
    /// What its parents left, in the order in which the task lists them. The order matters to
    /// [`OnConflict::PreferLast`] alone. A parent that wrote nothing (it did not succeed, or has
    /// no workspace) is replaced by its own parents; without any parent the task starts from the
    /// job's input, which no merge is needed for.
    pub parents: &'a [Snapshot],
    /// The joining task's number.
    pub task: i32,
    /// What to do where last writers disagree.
    pub on_conflict: OnConflict,
    /// Whether the first task precedes the second in the graph (a task does not precede itself).
    pub is_ancestor: &'a dyn Fn(i32, i32) -> bool,
}

/// What came of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The task may start.
    Clean {
        /// What it starts from.
        snapshot: Snapshot,
        /// Nodes of it that were not at hand before, to be stored.
        nodes: Vec<(Digest, Bytes)>,
        /// The conflicts in which a parent was preferred, sorted by path.
        resolved: Vec<Conflict>,
    },
    /// The task may not start: at least one conflict, sorted by path.
    Conflict(Vec<Conflict>),
}

/// Tasks that left different things at one path, none of them knowing of the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// From the root, without a leading slash; any bytes but NUL.
    pub path: Vec<u8>,
    /// The last writers, ascending.
    pub writers: Vec<i32>,
    /// Set where the path is no directory to some of them, and this path below it lives to others
    /// (the first such, by name).
    pub below: Option<Vec<u8>>,
}

/// Merges what the parents of a task left. Descends only where they differ. Apart from preference
/// it is commutative, associative and idempotent in content and provenance; a modification time is
/// the greatest among the parents that hold a last writer.
pub fn merge(nodes: &mut Nodes, request: &Merge<'_>) -> Result<Step<Merged>, TreeError> {
    let step = Pass::run(nodes, |pass| {
        let sides = request.parents.iter().enumerate().map(root_side).collect();
        let mut merger = Merger::new(pass, request);
        let root = merger.entry(&mut Vec::new(), sides, 0)?;
        Ok((root.side, merger.into_conflicts()))
    })?;
    Ok(match step {
        Step::Need(digests) => Step::Need(digests),
        Step::Done(((_, conflicts), _))
            if request.on_conflict == OnConflict::Fail && !conflicts.is_empty() =>
        {
            Step::Done(Merged::Conflict(conflicts))
        }
        Step::Done(((root, resolved), nodes)) => {
            let snapshot = Snapshot {
                content: root.kind.as_ref().and_then(Kind::directory).flatten(),
                provenance: root.trace.node(),
                times: root.times,
            };
            Step::Done(Merged::Clean { snapshot, nodes, resolved })
        }
    })
}

fn root_side((rank, parent): (usize, &Snapshot)) -> Side {
    Side {
        rank,
        kind: Some(Kind::Directory { digest: parent.content, bits: 0 }),
        trace: Trace::of_root(parent.provenance),
        mtime_ns: None,
        times: parent.times,
    }
}
