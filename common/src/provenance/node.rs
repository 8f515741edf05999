//! The provenance node, and what it says of one path.
//!
//! One node is one directory, living or deleted. It lists the names that have, or have below them,
//! a path that some task wrote. Whether a listed path lives or is a tombstone is told by the
//! content tree alone. An entry without `below` speaks for everything that lives below it, so a
//! directory written by one task is one entry; it never speaks for paths that are not there: two
//! tasks that each make the same directory with a file of their own have not met.
//!
//! Invariant: one provenance has one encoding (see [`fold`]).

use bytes::Bytes;
use prost::Message;

use crate::tree::{
    BadNode, Digest, Directory, Node, Pass, by_name, canonical, digest_field, field_of, only,
};

/// A set of tasks, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Writers(Vec<i32>);

impl Writers {
    /// The set of these tasks.
    pub fn new(tasks: impl IntoIterator<Item = i32>) -> Self {
        let mut tasks: Vec<i32> = tasks.into_iter().collect();
        tasks.sort_unstable();
        tasks.dedup();
        Self(tasks)
    }

    /// The tasks, ascending.
    pub fn tasks(&self) -> &[i32] {
        &self.0
    }

    /// Whether no task wrote.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the two sets share a task.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|task| other.0.binary_search(task).is_ok())
    }
}

/// What is known of one path and of what lies below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trace {
    /// The last writers of the path itself.
    pub writers: Writers,
    /// Those of what lies below.
    pub below: Below,
}

/// The last writers of what lies below a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Below {
    /// All that lives below has the same ones, and nothing below was deleted.
    #[default]
    Same,
    /// They are in the node with this digest (`None`: nobody wrote below).
    Node(Option<Digest>),
}

impl Trace {
    /// Of the root, whose own writers are none.
    pub(crate) fn of_root(root: Option<Digest>) -> Self {
        let below = root.map_or(Below::Same, |digest| Below::Node(Some(digest)));
        Self { writers: Writers::default(), below }
    }

    /// Whether nobody wrote the path or anything below it.
    pub fn is_untouched(&self) -> bool {
        self.writers.is_empty() && self.below == Below::Same
    }

    /// The digest of the node below, if there is one to read.
    pub(crate) fn node(&self) -> Option<Digest> {
        match self.below {
            Below::Same => None,
            Below::Node(digest) => digest,
        }
    }

    /// What is known of `name` below: `node` is the node below, `lives` whether the name is there.
    pub fn child(&self, node: &Provenance, name: &[u8], lives: bool) -> Self {
        match self.below {
            Below::Same if lives => Self { writers: self.writers.clone(), below: Below::Same },
            Below::Same => Self::default(),
            Below::Node(_) => node.get(name).cloned().unwrap_or_default(),
        }
    }
}

/// What is known of the entries of one directory, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    entries: Vec<Traced>,
}

/// What is known of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// As in the content tree, or as it was there.
    pub name: Bytes,
    /// Not untouched.
    pub trace: Trace,
}

impl Provenance {
    /// A node of these entries, in any order; untouched ones are left out.
    pub fn new(mut entries: Vec<Traced>) -> Result<Self, BadNode> {
        entries.retain(|entry| !entry.trace.is_untouched());
        by_name(&mut entries, |entry| &entry.name)?;
        Ok(Self { entries })
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Traced] {
        &self.entries
    }

    /// What is known of `name`; `None` where it is untouched.
    pub fn get(&self, name: &[u8]) -> Option<&Trace> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        Some(&self.entries[at].trace)
    }
}

/// The one way to say what is below a path with these `writers`, that holds `content` now, and of
/// whose names, living and deleted, `entries` tells.
pub(crate) fn fold(
    pass: &mut Pass<'_>,
    writers: &Writers,
    content: &Directory,
    entries: Vec<Traced>,
) -> Result<Below, BadNode> {
    let node = Provenance::new(entries)?;
    let is_same =
        |entry: &Traced| entry.trace.below == Below::Same && entry.trace.writers == *writers;
    let living = content.entries();
    let is_uniform = if writers.is_empty() {
        node.is_empty()
    } else {
        node.entries.len() == living.len()
            && node.entries.iter().zip(living).all(|(a, b)| a.name == b.name && is_same(a))
    };
    Ok(if is_uniform { Below::Same } else { Below::Node(pass.put(&node)?) })
}

impl Node for Provenance {
    fn parse(bytes: Bytes) -> Result<Self, BadNode> {
        let wire: Wire = canonical(bytes)?;
        let is_sorted = wire.entries.is_sorted_by(|a, b| a.name < b.name);
        only(is_sorted, "the entries are not in order, or a name occurs twice")?;
        Self::new(wire.entries.into_iter().map(from_wire).collect::<Result<_, _>>()?)
    }

    fn encode(&self) -> Bytes {
        let write = |entry: &Traced| WireTraced {
            name: entry.name.clone(),
            writers: entry.trace.writers.0.clone(),
            below: match entry.trace.below {
                Below::Same => None,
                Below::Node(digest) => Some(field_of(digest)),
            },
        };
        Wire { entries: self.entries.iter().map(write).collect() }.encode_to_vec().into()
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn from_wire(entry: WireTraced) -> Result<Traced, BadNode> {
    let tasks = entry.writers;
    only(tasks.is_sorted_by(|a, b| a < b), "writers are not in order")?;
    only(tasks.first().is_none_or(|first| *first >= 0), "a writer is no task")?;
    let below = match entry.below {
        None => Below::Same,
        Some(field) => Below::Node(digest_field(&field)?),
    };
    let says_something = !tasks.is_empty() || matches!(below, Below::Node(Some(_)));
    only(says_something, "an entry says nothing")?;
    Ok(Traced { name: entry.name, trace: Trace { writers: Writers(tasks), below } })
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<WireTraced>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireTraced {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(int32, repeated, tag = "2")]
    writers: Vec<i32>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    below: Option<Bytes>,
}
