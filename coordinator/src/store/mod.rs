//! All SQL of the coordinator: one file per verb, through one door.
//!
//! Every statement starts with its own name as a comment, so that it is found again in
//! `pg_stat_activity` and in the log. State changes only through the functions in
//! `migrations/functions`; what stands here calls them and reads.

mod admit;
mod agents;
mod artifacts;
mod assignments;
mod attempts;
mod beat;
mod blobs;
mod claim;
mod counts;
mod dead_letters;
mod deadlines;
mod deliveries;
mod door;
mod drain;
mod effort;
mod facts;
mod finish;
mod garbage;
mod inputs;
mod jobs;
mod lanes;
mod listener;
mod log_pages;
mod logs;
mod migrate;
mod queues;
mod relations;
mod retention;
mod retry;
mod schedules;
mod sessions;
mod submissions;
mod sweep;
mod tasks;
mod upcoming;
mod waiting;

pub use admit::{Admitted, AdmittedMany, NewJob, Readied};
pub use agents::{AgentRow, RunningRow};
pub use artifacts::{ArtifactRow, Artifacts};
pub use assignments::{AssignmentRow, Sources};
pub use beat::Beat;
pub use blobs::BlobPlace;
pub use claim::{ClaimRequest, Claimed};
pub use counts::StateCount;
pub use dead_letters::{LetterPlace, LetterRow, Redrive};
pub use deadlines::Overdue;
pub use deliveries::{Delivery, Taking};
pub use door::{Store, StoreError};
pub use drain::Drain;
pub use effort::Effort;
pub use finish::{AttemptKey, Finish, Finished, Verdict};
pub use garbage::{KeptSnapshot, SweptBlobs, Untrimmed};
pub use inputs::InputRow;
pub use jobs::{Glance, JobFilter, JobRow, Seen};
pub use lanes::Lane;
pub use listener::{Hint, Listener};
pub use log_pages::{LogPage, Logged, TakenLog};
pub use logs::{Chunk, LoggedAttempt, NewChunk};
pub use migrate::{Migrated, MigrationError, create_roles, migrate};
pub use queues::PutQueue;
pub use relations::UniqueKey;
pub use retention::Purged;
pub use retry::RetryFilter;
pub use schedules::{FireJob, Fired, ScheduleChange, ScheduleRow};
pub use sessions::{AgentCard, Holding};
pub use submissions::Submission;
pub use sweep::{Applied, CancelFilter, Expired, Opened, Promoted};
pub use tasks::TaskRow;
pub use upcoming::UpcomingRow;
pub use waiting::LaneWaiting;

/// The three roots of a snapshot: digests of 32 bytes; empty for the empty tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roots {
    /// Of the content tree.
    pub content: Vec<u8>,
    /// Of the provenance tree.
    pub provenance: Vec<u8>,
    /// Of the tree of modification times.
    pub times: Vec<u8>,
}
