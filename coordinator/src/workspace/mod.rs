//! Where the files of jobs are kept, and how they meet at joins.
//!
//! | file | owns |
//! |---|---|
//! | `blobs` | the store: blobs by digest, verified on the way in and out |
//! | `pack` | many blobs in one object, written once, read in runs |
//! | `reach` | what a snapshot holds |
//! | `garbage` | what nobody needs any more, found and freed |
//! | `place` | where objects are, and the URLs by which others reach them |
//! | `direct` | packs that agents put and read themselves |
//! | `staged` | what is left of packs whose writer died, in a directory |
//! | `open` | finding or making the store, and the id that ties it to a database |
//! | `intake` | blobs on their way into the store |
//! | `joins` | the input of a task with several parents, merged and remembered |
//! | `artifacts` | a part of what a job left, made a snapshot of its own |
//! | `describe` | conflicts told to a person |
//!
//! It knows no gRPC.

mod artifacts;
mod blobs;
mod describe;
mod direct;
mod garbage;
mod intake;
mod joins;
mod open;
mod pack;
mod place;
mod reach;
mod staged;

pub use artifacts::Chosen;
pub use blobs::{BlobError, Blobs, Check, GRACE};
pub use describe::describe;
pub use direct::{Located, PackError};
pub use garbage::{Collected, Garbage};
pub use intake::{Intake, IntakeError};
pub use joins::{IsAncestor, Join, Joins, MergeError};
pub use open::OpenError;
pub use reach::Whole;
