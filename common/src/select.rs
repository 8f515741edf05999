//! Which of a task's writes are kept: the others are undone, so that what the task inherited passes
//! through.
//!
//! It knows no patterns: whoever calls it says what to keep. Descends only where output and input
//! differ.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use crate::{
    times::{Time, Times},
    tree::{Digest, Directory, Entry, Kind, Nodes, Pass, Snapshot, Step, TreeError},
};

/// What to do with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It counts. What is below is asked about.
    Keep,
    /// Neither it nor anything below counts.
    Undo,
    /// It does not count itself; what is below may.
    Below,
}

/// Decides on the write of a path: whether it is a directory (before or after), and whether a
/// directory above it was kept.
pub type Choose<'a> = dyn Fn(&[u8], bool, bool) -> Choice + 'a;

/// What is left of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Root of the content tree.
    pub content: Option<Digest>,
    /// Root of the tree of modification times.
    pub times: Option<Digest>,
    /// Nodes that were not at hand before, to be stored.
    pub nodes: Vec<(Digest, Bytes)>,
}

/// The output of a task that started from `input` with only those writes that `choose` keeps. Of
/// `output` content and times count.
pub fn select(
    nodes: &mut Nodes,
    input: &Snapshot,
    output: &Snapshot,
    choose: &Choose<'_>,
) -> Result<Step<Selected>, TreeError> {
    let root = |snapshot: &Snapshot| Item {
        kind: Kind::Directory { digest: snapshot.content, bits: 0 },
        mtime_ns: None,
        times: snapshot.times,
    };
    let step = Pass::run(nodes, |pass| {
        let (before, after) = (root(input), root(output));
        if before.kind == after.kind {
            return Ok(Some(after));
        }
        let mut selection = Selection { pass, choose };
        selection.folder((Some(&before), Some(&after)), &mut Vec::new(), false, 0)
    })?;
    Ok(match step {
        Step::Need(digests) => Step::Need(digests),
        Step::Done((root, nodes)) => {
            let content = root.as_ref().and_then(|item| item.kind.directory()).flatten();
            Step::Done(Selected { content, times: root.and_then(|item| item.times), nodes })
        }
    })
}

/// One path on one side.
#[derive(Clone)]
struct Item {
    kind: Kind,
    mtime_ns: Option<i64>,
    times: Option<Digest>,
}

/// The nodes of a directory.
type Pair = (Arc<Directory>, Arc<Times>);

type Sides<'s> = (Option<&'s Item>, Option<&'s Item>);

struct Selection<'p, 'n, 'c> {
    pass: &'p mut Pass<'n>,
    choose: &'c Choose<'c>,
}

impl Selection<'_, '_, '_> {
    fn entry(
        &mut self,
        (before, after): Sides<'_>,
        path: &mut Vec<u8>,
        is_above_kept: bool,
        depth: usize,
    ) -> Result<Option<Item>, TreeError> {
        self.pass.visit(depth)?;
        if before.map(|item| &item.kind) == after.map(|item| &item.kind) {
            return Ok(after.cloned());
        }
        let is_folder = is_folder(before) || is_folder(after);
        let choice = (self.choose)(path, is_folder, is_above_kept);
        match choice {
            Choice::Undo => Ok(before.cloned()),
            Choice::Keep if !is_folder => Ok(after.cloned()),
            Choice::Below if !is_folder => Ok(before.cloned()),
            // A file in the place of a directory: nothing can be below.
            Choice::Keep if after.is_some() && !self::is_folder(after) => Ok(after.cloned()),
            Choice::Keep => self.folder((before, after), path, true, depth),
            Choice::Below => self.folder((before, after), path, is_above_kept, depth),
        }
    }

    /// A path that is a directory on one side at least; what is below is decided one by one.
    fn folder(
        &mut self,
        (before, after): Sides<'_>,
        path: &mut Vec<u8>,
        is_kept: bool,
        depth: usize,
    ) -> Result<Option<Item>, TreeError> {
        let (old, new) = (self.read(before)?, self.read(after)?);
        let (Some((old, old_times)), Some((new, new_times))) = (old, new) else { return Ok(None) };
        let entries = old.entries().iter().chain(new.entries());
        let names: BTreeSet<&Bytes> = entries.map(|entry| &entry.name).collect();
        let (mut entries, mut times) = (Vec::new(), Vec::new());
        let length = path.len();
        for name in names {
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let (old, new) = (item(&old, &old_times, name), item(&new, &new_times, name));
            let chosen = self.entry((old.as_ref(), new.as_ref()), path, is_kept, depth + 1)?;
            path.truncate(length);
            if let Some(Item { kind, mtime_ns, times: below }) = chosen {
                entries.push(Entry { name: name.clone(), kind });
                let time = |mtime_ns| Time { name: name.clone(), mtime_ns, below };
                times.extend(mtime_ns.map(time));
            }
        }
        let content = Directory::new(entries)?;
        let digest = self.pass.put(&content)?;
        let times = self.pass.put(&Times::new(times)?)?;
        Ok(stands(before, after, is_kept, digest).map(|mut item| {
            if let Kind::Directory { digest: below, .. } = &mut item.kind {
                *below = digest;
                item.times = times;
            }
            item
        }))
    }

    /// The nodes of a side; empty ones where it is no directory, `None` where one is missing.
    fn read(&mut self, side: Option<&Item>) -> Result<Option<Pair>, TreeError> {
        let below = side.filter(|item| item.kind.directory().is_some());
        let content = below.and_then(|item| item.kind.directory()).flatten();
        let content = self.pass.get::<Directory>(content)?;
        let times = self.pass.get::<Times>(below.and_then(|item| item.times))?;
        Ok(content.zip(times))
    }
}

/// What stands at the path of a directory of which this is left.
fn stands<'s>(
    before: Option<&'s Item>,
    after: Option<&'s Item>,
    is_kept: bool,
    left: Option<Digest>,
) -> Option<Item> {
    let folder = |item: Option<&'s Item>| item.filter(|item| is_folder(Some(item)));
    let preferred =
        if is_kept { [folder(after), folder(before)] } else { [folder(before), folder(after)] };
    let is_wanted = match is_kept {
        true => folder(after).is_some() || left.is_some(),
        false => folder(before).is_some() || left.is_some(),
    };
    match is_wanted {
        true => preferred.into_iter().flatten().next().cloned(),
        false if is_kept => None,
        false => before.cloned(),
    }
}

fn is_folder(item: Option<&Item>) -> bool {
    item.is_some_and(|item| item.kind.directory().is_some())
}

fn item(content: &Directory, times: &Times, name: &[u8]) -> Option<Item> {
    let kind = content.get(name)?.clone();
    let time = times.get(name);
    let mtime_ns = time.map(|time| time.mtime_ns);
    Some(Item { kind, mtime_ns, times: time.and_then(|time| time.below) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    /// Makes a tree of `path=content` words; a word that ends in `/` is an empty directory.
    fn tree(nodes: &mut Nodes, words: &str) -> Snapshot {
        let mut top = Folder::default();
        for word in words.split_whitespace() {
            let (path, content) = word.split_once('=').unwrap_or((word, ""));
            let mut names: Vec<&str> = path.split('/').collect();
            let last = names.pop().unwrap();
            let folder = names.iter().fold(&mut top, |folder, name| {
                folder.folders.entry((*name).to_owned()).or_default()
            });
            if !last.is_empty() {
                folder.files.push((last.to_owned(), content.to_owned()));
            }
        }
        Snapshot { content: top.put(nodes), ..Snapshot::default() }
    }

    #[derive(Default)]
    struct Folder {
        folders: std::collections::BTreeMap<String, Folder>,
        files: Vec<(String, String)>,
    }

    impl Folder {
        fn put(self, nodes: &mut Nodes) -> Option<Digest> {
            let entry = |name: String, kind| Entry { name: name.into(), kind };
            let mut entries = Vec::new();
            for (name, folder) in self.folders {
                let digest = folder.put(nodes);
                entries.push(entry(name, Kind::Directory { digest, bits: 0o755 }));
            }
            for (name, content) in self.files {
                let digest = Digest::of(content.as_bytes());
                let size = content.len() as u64;
                entries.push(entry(name, Kind::File { digest, size, bits: 0o644 }));
            }
            let (digest, bytes) = Directory::new(entries).unwrap().seal().unwrap()?;
            nodes.insert(digest, bytes).unwrap();
            Some(digest)
        }
    }

    /// Keeps what is `out` or below, and nothing called `skip`.
    fn choose(path: &[u8], _: bool, is_above_kept: bool) -> Choice {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
        match name {
            b"skip" => Choice::Undo,
            b"out" => Choice::Keep,
            _ if is_above_kept => Choice::Keep,
            _ => Choice::Below,
        }
    }

    fn selected(input: &str, output: &str) -> (Option<Digest>, impl Fn(&str) -> Option<Digest>) {
        let mut nodes = Nodes::default();
        let (before, after) = (tree(&mut nodes, input), tree(&mut nodes, output));
        let step = select(&mut nodes, &before, &after, &choose).unwrap();
        let Step::Done(Selected { content, .. }) = step else { panic!("all nodes are at hand") };
        (content, |words: &str| tree(&mut Nodes::default(), words).content)
    }

    #[test]
    fn only_chosen_writes_are_kept_and_the_rest_passes_through() {
        for (input, output, wanted) in [
            ("a=1 out/b=1", "a=2 out/b=2", "a=1 out/b=2"),
            ("a=1", "c=1 out/x/y=1", "a=1 out/x/y=1"),
            ("a=1", "c/d=1", "a=1"),
            ("deep/er/out=1 deep/f=1", "deep/er/out=2", "deep/er/out=2 deep/f=1"),
            ("out/a=1 out/skip/b=1", "", "out/skip/b=1"),
            ("out/a=1 f=1", "f=1", "f=1"),
            ("out/a=1", "out/a=2 out/skip=1", "out/a=2"),
            ("p=1", "p/out=1", "p/out=1"),
            ("p=1", "p/other=1", "p=1"),
            ("p/out=1 p/q=1", "p=1", "p/q=1"),
            ("out/a=1", "out=1", "out=1"),
            ("a/", "a/b/out/", "a/b/out/"),
        ] {
            let (found, tree) = selected(input, output);
            assert_eq!(found, tree(wanted), "{input} -> {output}");
        }
    }
}
