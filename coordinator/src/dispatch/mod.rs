//! From ready tasks to agents and back: lanes and cursors, matching, sessions, the committer.
//!
//! | file | owns |
//! |---|---|
//! | [`roster`] | the agents connected here: their slots, what they hold, the way to them |
//! | [`lanes`] | the lanes and how far each was read |
//! | [`dispatcher`] | the loop that claims ready tasks for free slots |
//! | `ahead` | what waits, told to agents that have no room for it yet |
//! | [`deliver`] | claimed attempts made into assignments |
//! | `inputs` | what those are given of the tasks they depend on |
//! | `pace` | whether an agent's tasks are long, and of which waiting one it was told |
//! | [`session`] | one agent's stream: reconcile, report, cancel |
//! | [`words`] | what is said to agents, several words in one message |
//! | [`committer`] | the one way in which an attempt ends |
//!
//! Everything kept here is a cache that a restart may lose.

mod ahead;
pub mod committer;
pub mod deliver;
pub mod dispatcher;
mod inputs;
pub mod lanes;
mod pace;
pub mod roster;
pub mod session;
pub mod words;

pub use committer::{Committer, Finishes};
pub use deliver::Delivery;
pub use dispatcher::{Dispatcher, Wake, Wakes, wakes};
pub use roster::Roster;
