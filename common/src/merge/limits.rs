//! Trees that no honest task leaves.

use bytes::Bytes;

use super::{Merge, Merged, OnConflict, merge};
use crate::tree::{
    Digest, Directory, Entry, Kind, MAX_DEPTH, Node, Nodes, Snapshot, Step, TreeError,
};

fn holding(nodes: &mut Nodes, entries: Vec<(&'static str, Kind)>) -> Option<Digest> {
    let entry = |(name, kind)| Entry { name: Bytes::from_static(str::as_bytes(name)), kind };
    let directory = Directory::new(entries.into_iter().map(entry).collect()).unwrap();
    let (digest, bytes) = directory.seal().unwrap().unwrap();
    nodes.insert(digest, bytes).unwrap();
    Some(digest)
}

fn file(content: &[u8]) -> Kind {
    Kind::File { digest: Digest::of(content), size: content.len() as u64, bits: 0o644 }
}

fn dir(digest: Option<Digest>) -> Kind {
    Kind::Directory { digest, bits: 0o755 }
}

/// Two trees that differ only in what `wrap` puts around a file, `depth` times.
fn merged(
    depth: usize,
    wrap: impl Fn(&mut Nodes, Option<Digest>) -> Option<Digest>,
) -> Result<Step<Merged>, TreeError> {
    let mut nodes = Nodes::default();
    let parents = [b"1", b"2"].map(|content| {
        let mut content = holding(&mut nodes, vec![("f", file(content))]);
        for _ in 0..depth {
            content = wrap(&mut nodes, content);
        }
        Snapshot { content, ..Snapshot::default() }
    });
    let is_ancestor = |_, _| false;
    let on_conflict = OnConflict::Fail;
    merge(&mut nodes, &Merge { parents: &parents, task: 1, on_conflict, is_ancestor: &is_ancestor })
}

#[test]
fn the_deepest_tree_is_merged_and_a_deeper_one_refused() {
    let wrap = |nodes: &mut Nodes, inner| holding(nodes, vec![("d", dir(inner))]);
    let Step::Done(Merged::Conflict(conflicts)) = merged(MAX_DEPTH - 1, wrap).unwrap() else {
        panic!("one file differs")
    };
    assert_eq!(conflicts[0].path.len(), 2 * (MAX_DEPTH - 1) + 1);
    assert_eq!(merged(MAX_DEPTH, wrap), Err(TreeError::TooDeep));
}

#[test]
fn a_small_tree_that_stands_for_countless_files_is_refused() {
    let wrap =
        |nodes: &mut Nodes, inner| holding(nodes, vec![("a", dir(inner)), ("b", dir(inner))]);
    assert_eq!(merged(60, wrap), Err(TreeError::TooLarge));
}

#[test]
fn a_node_that_was_swapped_for_another_is_refused() {
    let mut nodes = Nodes::default();
    let digest = Digest::of(b"one");
    let swapped = nodes.insert(digest, Bytes::from_static(b"two"));
    assert_eq!(swapped, Err(TreeError::Damaged(digest)));
}
