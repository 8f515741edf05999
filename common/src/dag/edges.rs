//! The dependencies of all tasks in two flat lists, whatever a node stands for.
//!
//! Invariant: every target is below the number of nodes.

/// For each node, a list of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges {
    /// Where the list of each node starts; one more at the end.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Edges {
    /// No nodes yet, with room for so many nodes and edges.
    pub(super) fn with_capacity(nodes: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(nodes + 1);
        starts.push(0);
        Self { starts, targets: Vec::with_capacity(edges) }
    }

    /// Adds the next node with its list.
    pub(super) fn push(&mut self, list: impl IntoIterator<Item = u32>) {
        self.targets.extend(list);
        self.starts.push(index(self.targets.len()));
    }

    /// The list of `node`.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// Where the list of `node` starts among all edges.
    pub(super) fn start_of(&self, node: u32) -> usize {
        self.starts[node as usize] as usize
    }

    /// How many nodes there are.
    pub(super) fn node_count(&self) -> u32 {
        index(self.starts.len() - 1)
    }

    /// How many edges there are.
    pub(super) fn edge_count(&self) -> usize {
        self.targets.len()
    }

    /// The same edges seen from their other ends; each list ascends.
    pub(super) fn reversed(&self) -> Self {
        let nodes = self.node_count() as usize;
        let mut starts = vec![0u32; nodes + 1];
        for &target in &self.targets {
            starts[target as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0u32; self.targets.len()];
        for node in 0..self.node_count() {
            for &target in self.of(node) {
                let place = &mut next[target as usize];
                targets[*place as usize] = node;
                *place += 1;
            }
        }
        Self { starts, targets }
    }
}

/// A count as an index; limits keep both counts of a job far below.
pub(super) fn index(count: usize) -> u32 {
    u32::try_from(count).expect("invariant: a job has fewer than 2^32 tasks and dependencies")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversed_edges_are_the_same_edges_seen_from_the_other_end() {
        let mut parents = Edges::with_capacity(4, 4);
        parents.push([]);
        parents.push([0]);
        parents.push([1, 0]);
        parents.push([2]);
        let children = parents.reversed();
        assert_eq!(children.of(0), [1, 2]);
        assert_eq!(children.of(1), [2]);
        assert_eq!(children.of(2), [3]);
        assert_eq!(children.of(3), [0u32; 0]);
        assert_eq!(children.edge_count(), 4);
    }
}
