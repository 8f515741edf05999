//! The files of a task: from a snapshot into a directory, and back.
//!
//! | file | owns |
//! |---|---|
//! | `handle` | [`Workspace`], what others call |
//! | `folder` | directories by handle, so that nothing follows a symlink or leaves the root |
//! | `scan` | a directory read into trees |
//! | `plan` | what a snapshot holds, read level by level and checked |
//! | `checkout` | a plan made into files |
//! | `remote` | blobs to and from a coordinator, verified, sent again where the way broke |
//! | `error` | what can go wrong |
//!
//! It knows nothing of attempts. The command line uses it too.

mod checkout;
mod error;
mod folder;
mod handle;
mod plan;
mod remote;
mod scan;

pub use error::WorkspaceError;
pub use handle::{Listed, Taken, Workspace};
