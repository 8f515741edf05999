//! The definition of workspaces, written down naively over maps of paths, for the tests to compare
//! with: no trees, no laziness, every set worked out from the graph alone.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Conflict, OnConflict};
use crate::{
    provenance::{Below, Provenance, Trace, Traced, Writers},
    times::{Time, Times},
    tree::{Digest, Directory, Entry, Kind, Node, Snapshot},
};

pub(super) type Store = BTreeMap<Digest, Bytes>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    File(u8, u32),
    Link(u8),
    Dir(u32),
}

/// What lives, with its modification time.
pub(super) type Files = BTreeMap<String, (Item, i64)>;

/// An edit of a task; what stands in its way is replaced.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Put(String, Item, i64),
    Delete(String),
    Touch(String, i64),
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) depends: Vec<usize>,
    pub(super) has_files: bool,
    pub(super) edits: Vec<Edit>,
    /// Those of an attempt before it that did not count, though its files were kept.
    pub(super) lost: Option<Vec<Edit>>,
}

/// Where a path stands before or after a task: what lives, and who wrote last.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) files: Files,
    pub(super) writers: BTreeMap<String, BTreeSet<usize>>,
}

/// What has happened to the tasks so far. A task that left nothing has no output.
pub(super) struct History {
    pub(super) tasks: Vec<Task>,
    pub(super) base: Files,
    pub(super) outputs: Vec<Option<State>>,
    /// What each task wrote.
    pub(super) wrote: Vec<BTreeSet<String>>,
}

fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn apply(files: &mut Files, edit: &Edit) {
    match edit {
        Edit::Put(path, item, mtime) => {
            if let Some(parent) = parent_of(path)
                && !matches!(files.get(parent), Some((Item::Dir(_), _)))
            {
                apply(files, &Edit::Put(parent.to_owned(), Item::Dir(0o755), *mtime));
            }
            if !matches!(item, Item::Dir(_)) {
                files.retain(|other, _| !is_below(other, path));
            }
            files.insert(path.clone(), (*item, *mtime));
        }
        Edit::Delete(path) => {
            files.retain(|other, _| other != path && !is_below(other, path));
        }
        Edit::Touch(path, mtime) => {
            files.entry(path.clone()).and_modify(|(_, time)| *time = *mtime);
        }
    }
}

impl History {
    pub(super) fn precedes(&self, a: usize, b: usize) -> bool {
        self.tasks[b].depends.iter().any(|&parent| parent == a || self.precedes(a, parent))
    }

    /// The tasks whose outputs `task` joins, in the order of its dependencies.
    pub(super) fn parents(&self, task: usize) -> Vec<usize> {
        let mut parents = Vec::new();
        for &parent in &self.tasks[task].depends {
            match self.outputs[parent] {
                Some(_) => parents.push(parent),
                None => parents.extend(self.parents(parent)),
            }
        }
        parents
    }

    fn item(&self, task: usize, path: &str) -> Option<Item> {
        let output = self.outputs[task].as_ref().unwrap();
        output.files.get(path).map(|(item, _)| *item)
    }

    /// The last writers of `path` among those before `task`, which itself counts if `with`.
    fn last_writers(&self, path: &str, task: usize, with: bool) -> BTreeSet<usize> {
        let wrote = |&t: &usize| {
            (self.precedes(t, task) || (with && t == task)) && self.wrote[t].contains(path)
        };
        let all: BTreeSet<usize> = (0..self.wrote.len()).filter(wrote).collect();
        all.iter().copied().filter(|&t| !all.iter().any(|&other| self.precedes(t, other))).collect()
    }

    /// What `task` starts from, and the conflicts on the way (resolved ones with preference).
    pub(super) fn input(&self, task: usize, mode: OnConflict) -> (State, Vec<Conflict>) {
        let paths: BTreeSet<&String> =
            self.base.keys().chain(self.wrote.iter().flatten()).collect();
        let looks: BTreeMap<&str, Look> =
            paths.iter().map(|path| (path.as_str(), self.look(task, path))).collect();
        let (mut state, mut conflicts, mut razed) = (State::default(), Vec::new(), Vec::new());
        for (&path, look) in &looks {
            let below: Vec<(&&str, &Look)> =
                looks.iter().filter(|(p, look)| is_below(p, path) && look.lives()).collect();
            let below = if look.is_flat() { below } else { Vec::new() };
            let mut writers = look.writers.clone();
            let mut held = look.latest();
            if look.disagrees() || !below.is_empty() {
                // In the order of a walk: what is in `b` before its neighbour `b\u{1}`.
                let first = below.iter().min_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
                let all = writers.iter().chain(first.iter().flat_map(|(_, look)| &look.writers));
                let all: BTreeSet<i32> = all.map(|&t| t as i32).collect();
                conflicts.push(Conflict {
                    path: path.as_bytes().to_vec(),
                    writers: all.into_iter().collect(),
                    below: first.map(|(path, _)| path.as_bytes().to_vec()),
                });
                let living = below.iter().flat_map(|(_, look)| look.living());
                let rank = living.chain(look.holders.iter().map(|held| held.rank)).max().unwrap();
                let winner = self.outputs[self.parents(task)[rank]].as_ref().unwrap();
                held = winner.files.get(path).copied();
                writers = BTreeSet::from([task]);
                if mode == OnConflict::PreferLast && !matches!(held, Some((Item::Dir(_), _))) {
                    razed.push(path);
                }
            }
            let is_razed = razed.iter().any(|above| is_below(path, above));
            if is_razed && held.is_some() {
                writers = BTreeSet::from([task]);
            }
            if let Some(held) = held.filter(|_| !is_razed) {
                state.files.insert(path.to_owned(), held);
            }
            if !writers.is_empty() {
                state.writers.insert(path.to_owned(), writers);
            }
        }
        (state, conflicts)
    }

    fn look(&self, task: usize, path: &str) -> Look {
        let writers = self.last_writers(path, task, false);
        let parents = self.parents(task);
        let holds = |&(_, parent): &(usize, usize)| {
            writers.is_empty() || !writers.is_disjoint(&self.last_writers(path, parent, true))
        };
        let held = |(rank, parent): (usize, usize)| Held {
            rank,
            file: self.outputs[parent].as_ref().unwrap().files.get(path).copied(),
        };
        let holders: Vec<Held> =
            parents.iter().copied().enumerate().filter(holds).map(held).collect();
        let items = if writers.is_empty() {
            vec![self.base.get(path).map(|(item, _)| *item)]
        } else {
            writers.iter().map(|&writer| self.item(writer, path)).collect()
        };
        Look { writers, items, holders }
    }

    /// Runs `task` on its input: its edits, or nothing where `input` is `None`.
    pub(super) fn run(&mut self, input: Option<State>) {
        let task = self.outputs.len();
        let Some(input) = input else {
            self.outputs.push(None);
            self.wrote.push(BTreeSet::new());
            return;
        };
        let mut files = input.files.clone();
        self.tasks[task].edits.iter().for_each(|edit| apply(&mut files, edit));
        let item = |files: &Files, path: &String| files.get(path).map(|(item, _)| *item);
        let paths = files.keys().chain(input.files.keys());
        let mut wrote: BTreeSet<String> =
            paths.filter(|path| item(&files, path) != item(&input.files, path)).cloned().collect();
        let resolved = input.writers.iter().filter(|(_, writers)| writers.contains(&task));
        wrote.extend(resolved.map(|(path, _)| path.clone()));
        let mut writers = input.writers;
        writers.extend(wrote.iter().map(|path| (path.clone(), BTreeSet::from([task]))));
        self.outputs.push(Some(State { files, writers }));
        self.wrote.push(wrote);
    }
}

/// A path before a task.
struct Look {
    writers: BTreeSet<usize>,
    /// As each last writer left it.
    items: Vec<Option<Item>>,
    /// The parents with a last writer.
    holders: Vec<Held>,
}

struct Held {
    rank: usize,
    file: Option<(Item, i64)>,
}

impl Look {
    fn disagrees(&self) -> bool {
        self.items.iter().any(|item| *item != self.items[0])
    }

    fn is_flat(&self) -> bool {
        self.items.iter().any(|item| !matches!(item, Some(Item::Dir(_))))
    }

    fn lives(&self) -> bool {
        !self.writers.is_empty() && self.items.iter().any(Option::is_some)
    }

    fn living(&self) -> impl Iterator<Item = usize> {
        self.holders.iter().filter(|held| held.file.is_some()).map(|held| held.rank)
    }

    /// Where all agree: what lives, with the greatest time.
    fn latest(&self) -> Option<(Item, i64)> {
        let files = self.holders.iter().filter_map(|held| held.file);
        files.max_by_key(|(_, mtime)| *mtime)
    }
}

impl State {
    /// The snapshot of this state, its nodes kept in `store`.
    pub(super) fn snapshot(&self, store: &mut Store) -> Snapshot {
        let (content, trace, times) = self.below("", &BTreeSet::new(), store);
        let provenance = match trace {
            Below::Same => None,
            Below::Node(digest) => digest,
        };
        Snapshot { content, provenance, times }
    }

    fn below(
        &self,
        path: &str,
        own: &BTreeSet<usize>,
        store: &mut Store,
    ) -> (Option<Digest>, Below, Option<Digest>) {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let all: BTreeSet<&String> = self
            .files
            .keys()
            .chain(self.writers.keys())
            .filter(|p| p.starts_with(&prefix))
            .collect();
        let nobody = BTreeSet::new();
        let is_same = all.iter().all(|path| {
            let writers = self.writers.get(*path).unwrap_or(&nobody);
            if self.files.contains_key(*path) { writers == own } else { writers.is_empty() }
        });
        let (mut entries, mut traced, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let names: BTreeSet<&str> =
            all.iter().filter_map(|path| path[prefix.len()..].split('/').next()).collect();
        for name in names {
            let path = format!("{prefix}{name}");
            let writers = self.writers.get(&path).unwrap_or(&nobody);
            let (digest, below, times_below) = self.below(&path, writers, store);
            let name = Bytes::copy_from_slice(name.as_bytes());
            if let Some(&(item, mtime_ns)) = self.files.get(&path) {
                times.push(Time { name: name.clone(), mtime_ns, below: times_below });
                entries.push(Entry { name: name.clone(), kind: kind(item, digest) });
            }
            let writers = Writers::new(writers.iter().map(|&t| t as i32));
            traced.push(Traced { name, trace: Trace { writers, below } });
        }
        let content = keep(store, &Directory::new(entries).unwrap());
        let node = keep(store, &Provenance::new(traced).unwrap());
        let below = if is_same { Below::Same } else { Below::Node(node) };
        (content, below, keep(store, &Times::new(times).unwrap()))
    }
}

fn kind(item: Item, digest: Option<Digest>) -> Kind {
    match item {
        Item::File(content, bits) => Kind::File { digest: Digest::of(&[content]), size: 1, bits },
        Item::Link(target) => Kind::Symlink { target: vec![target].into() },
        Item::Dir(bits) => Kind::Directory { digest, bits },
    }
}

fn keep<N: Node>(store: &mut Store, node: &N) -> Option<Digest> {
    let (digest, bytes) = node.seal().unwrap()?;
    store.insert(digest, bytes);
    Some(digest)
}
