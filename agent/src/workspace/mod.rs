//! The files of a task: from a snapshot into a directory, and back.
//!
//! | file | owns |
//! |---|---|
//! | `handle` | [`Workspace`], what others call |
//! | `folder` | directories by handle, so that nothing follows a symlink or leaves the root |
//! | `listing` | what a directory holds, and how to tell that a file has not changed |
//! | `clock` | the clock that stamps files |
//! | `rules` | what of it is kept: patterns and limits |
//! | `scan` | a directory read into trees |
//! | `keep` | what was scanned made into a snapshot, and sent |
//! | `plan` | what a snapshot holds, read level by level and checked |
//! | `checkout` | a plan made into files |
//! | `present` | what is there already when a plan is made into a directory |
//! | `cache` | directories of finished tasks, handed over to the next ones |
//! | `ahead` | files of a task that may come next, fetched while others run |
//! | `turns` | who fetches what of those that need the same |
//! | `near` | files that are on this disk already, cloned or copied |
//! | `remote` | blobs to and from a coordinator, verified, sent again where the way broke |
//! | `error` | what can go wrong |
//!
//! It knows nothing of attempts. The command line uses it too.

mod ahead;
mod cache;
mod checkout;
mod clock;
mod error;
mod folder;
mod handle;
mod keep;
mod listing;
mod near;
mod plan;
mod present;
mod remote;
mod rules;
mod scan;
mod turns;

pub use error::WorkspaceError;
pub use handle::{Effort, Listed, Taken, Workspace};
pub use remote::Progress;
pub use rules::{Limits, Rules};
