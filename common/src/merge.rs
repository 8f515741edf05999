//! The input of a task that joins several parents: the last-writers rule.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what is asked, and what comes of it |
//! | `path` | the rule at one path |
//! | `below` | the walk over what lies below a path |
//!
//! The last writers of a path are those ancestors of the joining task that wrote it and that no
//! other such ancestor follows. Each parent's provenance holds the last writers within its own
//! ancestors; of their union, those that precede no other are the last writers of all. They must
//! agree, or there is a conflict. A path whose last writers say that it is no directory also
//! conflicts with anything living below it: those writers are always unrelated.

mod below;
mod path;
mod request;

#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use request::{Conflict, Merge, Merged, OnConflict, merge};
