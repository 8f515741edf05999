//! The output of attempts on its way to a coordinator.
//!
//! | file | owns |
//! |---|---|
//! | `writer` | streams of one attempt cut into numbered chunks, within the cap |
//! | `mask` | secrets kept out of it |
//! | `overflow` | what lies past the head, until it is known which part of it is the tail |
//! | `spool` | the chunks of one attempt on disk, and how far they are pushed |
//! | `budget` | how much of it all attempts together may have there |
//! | `shelf` | all spools of the agent |
//! | `push` | the second connection: chunks out, acknowledgements in |
//! | `tail` | the last bytes of a stream, for the report |
//!
//! Invariant: memory and disk are bounded whatever tasks write and however slow coordinators are; a
//! chunk stays on disk until it is acknowledged; where output is missing, a chunk says how much.

mod budget;
mod mask;
mod overflow;
mod push;
mod shelf;
mod spool;
mod tail;
mod writer;

pub use mask::Secrets;
pub use push::Pusher;
pub use shelf::Shelf;
pub use spool::Stream;
pub use writer::{LogLimits, LogWriter, Output, Written};
