//! Where the files of jobs are kept, and how they meet at joins.
//!
//! | file | owns |
//! |---|---|
//! | `blobs` | the store: blobs by digest, written once, verified on the way in and out |
//! | `open` | finding or making the store, and the id that ties it to a database |
//! | `intake` | blobs on their way into the store |
//! | `joins` | the input of a task with several parents, merged and remembered |
//! | `describe` | conflicts told to a person |
//!
//! It knows no SQL and no gRPC.

mod blobs;
mod describe;
mod intake;
mod joins;
mod open;

pub use blobs::{Blob, BlobError, Blobs, PIECE_BYTES};
pub use describe::describe;
pub use intake::{Intake, IntakeError, MAX_BLOB_BYTES};
pub use joins::{IsAncestor, Join, Joins, MergeError};
pub use open::OpenError;
