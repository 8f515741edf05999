//! Who wrote what: for each path of a snapshot the set of its last writers.
//!
//! | file | owns |
//! |---|---|
//! | `node` | the provenance node, and what it says of one path |
//! | `record` | what a task wrote: its output compared with its input |
//!
//! A writer is a task, by its number in the plan. The last writers of a path are those that wrote
//! it and that no other writer of it follows in the graph; a path of the job's input that no task
//! wrote has none. A deletion is a write, so a deleted path stays in the tree (a tombstone). The
//! merge ([`crate::merge`]) asks the graph whether a writer of one parent precedes a writer of
//! another: sets of last writers alone cannot tell.

mod node;
mod record;

pub(crate) use node::fold;
pub use node::{Below, Provenance, Trace, Traced, Writers};
pub(crate) use record::delete;
pub use record::{Recorded, record};
