//! Which attempts this agent has, and what becomes of them: assigned, stopped, reported, recorded.
//!
//! | file | owns |
//! |---|---|
//! | `desk` | the one task that owns the list of attempts, and what each message does to it |
//! | `alone` | what may not run while no coordinator is heard |
//! | `entry` | one line of that list |
//! | `life` | one attempt beside the desk: accept, run, conclude |
//! | `disk` | whether anything may begin, as far as the disk is concerned |
//! | `outbox` | what is to be said on the current stream, in order |
//! | `leaving` | how the agent goes: drain, hand back, farewell |
//! | `recovery` | what an earlier life of the agent left |
//!
//! Invariant: an attempt is listed as held exactly from when it is safely on disk until it is
//! recorded or disowned, and what is said on one stream is said in the order it came about.

mod alone;
mod desk;
mod disk;
mod entry;
mod leaving;
mod life;
mod outbox;
mod recovery;

pub use alone::WhenAlone;
pub(crate) use desk::{Command, Desk, Identity, Setup};
pub use leaving::Leave;
pub(crate) use outbox::Stream;
pub(crate) use recovery::recover;

/// Numbers the streams of this process; what was heard on an older one no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamNumber(pub(crate) u64);
