//! The transitive reduction: which dependencies follow from others.
//!
//! A dependency `p` of `t` is implied where another path leads from `p` to `t` on which every task
//! after `p`, `t` included, has `run_if: SUCCEEDED`: then each of them ran only because the one
//! before it succeeded. So this is the plain reduction of the graph that has only the edges into
//! such tasks, and the edges into all other tasks stay.
//!
//! petgraph's own reduction keeps the closure in lists, n^2 entries on a chain. Here 512 possible
//! starts of a path go at a time as bits through the tasks in topological order, and most edges are
//! known to stay beforehand. Invariant: memory is linear in the number of tasks.

use super::edges::{Edges, index};

/// Bits of one round: one cache line per task.
const WORDS: usize = 8;
const STARTS_PER_ROUND: usize = WORDS * 64;

type Row = [u64; WORDS];

/// An edge that may be implied: its place among all edges and its two ends, as positions.
struct Doubt {
    edge: usize,
    from: u32,
    to: u32,
}

/// For each edge of `parents`, whether it is implied by others. Nodes are positions in a topological
/// order: every parent comes before its child. `is_strict` says which nodes want all parents to
/// succeed; `levels` is the longest path to each.
pub(super) fn implied(parents: &Edges, is_strict: &[bool], levels: &[u32]) -> Vec<bool> {
    let mut implied = vec![false; parents.edge_count()];
    let mut doubts = doubts(parents, is_strict, levels);
    doubts.sort_unstable_by_key(|doubt| (doubt.from, doubt.to));
    let mut rows = vec![[0; WORDS]; parents.node_count() as usize];
    let mut rest = doubts.as_slice();
    while !rest.is_empty() {
        let round = rest.split_at(end_of_round(rest));
        rest = round.1;
        Round::new(parents, is_strict, round.0).run(&mut rows, &mut implied);
    }
    implied
}

/// The edges that are not obviously needed: the parent has other children, and another strict parent
/// is on a level between.
fn doubts(parents: &Edges, is_strict: &[bool], levels: &[u32]) -> Vec<Doubt> {
    let mut children = vec![0u32; is_strict.len()];
    for node in (0..parents.node_count()).filter(|&node| is_strict[node as usize]) {
        parents.of(node).iter().for_each(|&parent| children[parent as usize] += 1);
    }
    let mut doubts = Vec::new();
    for to in (0..parents.node_count()).filter(|&node| is_strict[node as usize]) {
        let list = parents.of(to);
        let strict_level = |&&parent: &&u32| is_strict[parent as usize];
        let Some(highest) =
            list.iter().filter(strict_level).map(|&parent| levels[parent as usize]).max()
        else {
            continue;
        };
        for (nth, &from) in list.iter().enumerate() {
            if levels[from as usize] < highest && children[from as usize] > 1 {
                doubts.push(Doubt { edge: parents.start_of(to) + nth, from, to });
            }
        }
    }
    doubts
}

/// How many of the first doubts have at most [`STARTS_PER_ROUND`] starts.
fn end_of_round(doubts: &[Doubt]) -> usize {
    let mut starts = 0;
    let mut last = None;
    doubts
        .iter()
        .position(|doubt| {
            if last != Some(doubt.from) {
                last = Some(doubt.from);
                starts += 1;
            }
            starts > STARTS_PER_ROUND
        })
        .unwrap_or(doubts.len())
}

/// One walk through the positions from the first start to the last doubted child.
struct Round<'a> {
    parents: &'a Edges,
    is_strict: &'a [bool],
    first: u32,
    last: u32,
    /// By position less `first`: one more than the bit of a start, else 0.
    bit: Vec<u16>,
    /// By child: bit of the start and the edge.
    doubts: Vec<(u32, u16, usize)>,
}

impl<'a> Round<'a> {
    fn new(parents: &'a Edges, is_strict: &'a [bool], doubts: &[Doubt]) -> Self {
        let first = doubts[0].from;
        let last = doubts.iter().map(|doubt| doubt.to).max().unwrap_or(first);
        let mut bit = vec![0u16; (last - first + 1) as usize];
        let mut bits = 0;
        let mut by_child = Vec::with_capacity(doubts.len());
        for doubt in doubts {
            let own = &mut bit[(doubt.from - first) as usize];
            if *own == 0 {
                bits += 1;
                *own = bits;
            }
            by_child.push((doubt.to, *own - 1, doubt.edge));
        }
        by_child.sort_unstable();
        Self { parents, is_strict, first, last, bit, doubts: by_child }
    }

    fn run(&self, rows: &mut [Row], implied: &mut [bool]) {
        // Whether anything is in a row; rows are written before they are read.
        let mut is_reached = vec![false; self.bit.len()];
        let mut doubts = self.doubts.as_slice();
        for node in self.first..=self.last {
            let (mut over, mut direct) = ([0; WORDS], [0; WORDS]);
            if self.is_strict[node as usize] {
                let parents = self.parents.of(node).iter().filter(|&&parent| parent >= self.first);
                for &parent in parents {
                    let at = (parent - self.first) as usize;
                    if is_reached[at] {
                        join(&mut over, &rows[parent as usize]);
                    }
                    if let Some(bit) = self.bit[at].checked_sub(1) {
                        direct[usize::from(bit / 64)] |= 1 << (bit % 64);
                    }
                }
            }
            while let Some((&(child, bit, edge), later)) = doubts.split_first()
                && child == node
            {
                implied[edge] = over[usize::from(bit / 64)] >> (bit % 64) & 1 == 1;
                doubts = later;
            }
            join(&mut over, &direct);
            is_reached[(node - self.first) as usize] = over != [0; WORDS];
            rows[node as usize] = over;
        }
    }
}

fn join(row: &mut Row, other: &Row) {
    for (word, more) in row.iter_mut().zip(other) {
        *word |= more;
    }
}

/// The longest path to each node, in edges. Nodes are positions in a topological order.
pub(super) fn levels(parents: &Edges) -> Vec<u32> {
    let mut levels = Vec::with_capacity(parents.node_count() as usize);
    for node in 0..parents.node_count() {
        let above = parents.of(node).iter().map(|&parent| levels[parent as usize] + 1).max();
        levels.push(above.unwrap_or(0));
    }
    debug_assert_eq!(index(levels.len()), parents.node_count());
    levels
}
