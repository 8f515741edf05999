//! From ready tasks to agents and back: lanes and cursors, matching, sessions, the committer.
//!
//! | file | owns |
//! |---|---|
//! | [`roster`] | the agents connected here: their slots, what they hold, the way to them |
//! | [`lanes`] | the lanes and how far each was read |
//! | [`dispatcher`] | the loop that claims ready tasks for free slots |
//! | [`deliver`] | claimed attempts made into assignments |
//! | `inputs` | what those are given of the tasks they depend on |
//! | [`session`] | one agent's stream: reconcile, report, cancel |
//! | [`committer`] | the one way in which an attempt ends |
//!
//! Everything kept here is a cache that a restart may lose.

pub mod committer;
pub mod deliver;
pub mod dispatcher;
mod inputs;
pub mod lanes;
pub mod roster;
pub mod session;

pub use committer::{Committer, Finishes};
pub use deliver::Delivery;
pub use dispatcher::{Dispatcher, Wake, Wakes, wakes};
pub use roster::Roster;
