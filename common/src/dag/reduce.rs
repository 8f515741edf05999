//! The transitive reduction: which dependencies follow from others.
//!
//! A dependency `p` of `t` is implied where another path leads from `p` to `t` on which every task
//! after `p`, `t` included, has `run_if: SUCCEEDED`: then each of them ran only because the one
//! before it succeeded. So this is the plain reduction of the graph that has only the edges into
//! such tasks, and the edges into all other tasks stay.
//!
//! petgraph's own reduction keeps the closure in lists, n^2 entries on a chain. Here 512 possible
//! starts of a path go at a time as bits to what they reach, in the order of levels, and most edges are
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

/// What is reduced.
struct Graph<'a> {
    parents: &'a Edges,
    is_strict: &'a [bool],
    /// The edges into strict nodes, seen from their parents.
    children: Edges,
}

/// For each edge of `parents`, whether it is implied by others. Nodes are positions in an order by
/// level, so every parent comes before its child. `is_strict` says which nodes want all parents to
/// succeed; `levels` is the longest path to each.
pub(super) fn implied(parents: &Edges, is_strict: &[bool], levels: &[u32]) -> Vec<bool> {
    let mut implied = vec![false; parents.edge_count()];
    let graph = Graph { parents, is_strict, children: strict_children(parents, is_strict) };
    let mut doubts = doubts(&graph, levels);
    doubts.sort_unstable_by_key(|doubt| (doubt.from, doubt.to));
    let mut scratch = Scratch::new(is_strict.len());
    let mut rest = doubts.as_slice();
    while !rest.is_empty() {
        let (round, later) = rest.split_at(end_of_round(rest));
        Round::new(&graph, round, &mut scratch).run(&mut scratch, &mut implied);
        scratch.forget_starts(round);
        rest = later;
    }
    implied
}

fn strict_children(parents: &Edges, is_strict: &[bool]) -> Edges {
    let mut strict = Edges::with_capacity(is_strict.len(), parents.edge_count());
    for (node, &is_strict) in (0..).zip(is_strict) {
        let list = if is_strict { parents.of(node) } else { &[] };
        strict.push(list.iter().copied());
    }
    strict.reversed()
}

/// The edges that are not obviously needed: the parent has other children, and another strict parent
/// is on a level between.
fn doubts(graph: &Graph<'_>, levels: &[u32]) -> Vec<Doubt> {
    let is_strict = |node: u32| graph.is_strict[node as usize];
    let level = |node: u32| levels[node as usize];
    let mut doubts = Vec::new();
    for to in (0..graph.parents.node_count()).filter(|&node| is_strict(node)) {
        let list = graph.parents.of(to);
        let between = list.iter().copied().filter(|&parent| is_strict(parent));
        let Some(highest) = between.map(level).max() else { continue };
        for (edge, &from) in (graph.parents.start_of(to)..).zip(list) {
            if level(from) < highest && graph.children.of(from).len() > 1 {
                doubts.push(Doubt { edge, from, to });
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

/// One walk from the starts to their descendants, in the order of positions, as far as the last
/// doubted child. Only what is reached costs anything.
struct Round<'a> {
    graph: &'a Graph<'a>,
    first: u32,
    last: u32,
    /// By child: bit of the start and the edge.
    doubts: Vec<(u32, u16, usize)>,
}

impl<'a> Round<'a> {
    /// Numbers the starts in `scratch`.
    fn new(graph: &'a Graph<'a>, doubts: &[Doubt], scratch: &mut Scratch) -> Self {
        let first = doubts[0].from;
        let last = doubts.iter().map(|doubt| doubt.to).max().unwrap_or(first);
        let mut bits = 0;
        let mut by_child = Vec::with_capacity(doubts.len());
        for doubt in doubts {
            let own = &mut scratch.bit[doubt.from as usize];
            if *own == 0 {
                bits += 1;
                *own = bits;
                scratch.is_reached[doubt.from as usize] = true;
            }
            by_child.push((doubt.to, *own - 1, doubt.edge));
        }
        by_child.sort_unstable();
        Self { graph, first, last, doubts: by_child }
    }

    fn run(&self, scratch: &mut Scratch, implied: &mut [bool]) {
        let mut doubts = self.doubts.as_slice();
        let mut from = self.first;
        while let Some(node) = scratch.next_reached(from, self.last) {
            let over = scratch.take(node);
            while let Some((&(child, bit, edge), later)) = doubts.split_first()
                && child <= node
            {
                implied[edge] = child == node && has(&over, bit);
                doubts = later;
            }
            let full = self.with_direct(over, node, scratch);
            for &child in self.graph.children.of(node).iter().filter(|&&child| child <= self.last) {
                scratch.reach(child, &full);
            }
            from = node + 1;
        }
    }

    /// The starts that are parents of `node` added to those over others.
    fn with_direct(&self, mut row: Row, node: u32, scratch: &Scratch) -> Row {
        if self.graph.is_strict[node as usize] {
            for &parent in self.graph.parents.of(node) {
                if let Some(bit) = scratch.bit[parent as usize].checked_sub(1) {
                    row[usize::from(bit / 64)] |= 1 << (bit % 64);
                }
            }
        }
        row
    }
}

/// Room that the rounds share. By position; clean between rounds.
struct Scratch {
    /// One more than the bit of a start, else 0.
    bit: Vec<u16>,
    is_reached: Vec<bool>,
    /// From which starts a path of two edges or more leads here.
    rows: Vec<Row>,
}

impl Scratch {
    fn new(nodes: usize) -> Self {
        let rows = vec![[0; WORDS]; nodes];
        Self { bit: vec![0; nodes], is_reached: vec![false; nodes], rows }
    }

    fn next_reached(&self, from: u32, last: u32) -> Option<u32> {
        let rest = self.is_reached.get(from as usize..=last as usize)?;
        let further = rest.iter().position(|&is_reached| is_reached)?;
        Some(from + index(further))
    }

    fn reach(&mut self, node: u32, row: &Row) {
        self.is_reached[node as usize] = true;
        join(&mut self.rows[node as usize], row);
    }

    /// Empties the place of `node`.
    fn take(&mut self, node: u32) -> Row {
        self.is_reached[node as usize] = false;
        std::mem::take(&mut self.rows[node as usize])
    }

    fn forget_starts(&mut self, doubts: &[Doubt]) {
        doubts.iter().for_each(|doubt| self.bit[doubt.from as usize] = 0);
    }
}

fn has(row: &Row, bit: u16) -> bool {
    row[usize::from(bit / 64)] >> (bit % 64) & 1 == 1
}

fn join(row: &mut Row, other: &Row) {
    for (word, more) in row.iter_mut().zip(other) {
        *word |= more;
    }
}
