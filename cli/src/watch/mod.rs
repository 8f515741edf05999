//! A job as it runs: what changed, what its tasks write, and how a person sees it.
//!
//! It knows nothing of where the coordinator came from. Invariant: what is shown is bounded by the
//! height of a terminal, not by the size of the job, but for what the tasks themselves write.
//!
//! | room | owns |
//! |---|---|
//! | [`board`] | the state of every task, pure |
//! | [`escapes`] | output without what is for terminals alone |
//! | [`feed`] | the coordinator's two streams, resumed when they break |
//! | [`follow`](mod@follow) | the loop that joins them |
//! | [`lines`] | output cut into lines with the name of their task |
//! | `live` | a terminal that is redrawn |
//! | `plain` | one line per change |
//! | `screen` | which of the two |
//! | [`summary`] | the table at the end |
//! | [`words`] | states as people read and write them |

pub mod board;
pub mod escapes;
pub mod feed;
pub mod follow;
pub mod lines;
mod live;
mod plain;
mod screen;
pub mod summary;
pub mod words;

pub use board::Board;
pub use follow::{Shown, exit_of, follow};
pub use lines::Lines;
