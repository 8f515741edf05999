//! The pure core of PostQ: every decision, no effect. No IO, no async, no clock, no randomness but
//! as arguments.
//!
//! | room | owns |
//! |---|---|
//! | [`id`] | the names of things |
//! | [`spec`] | what a user wrote, and what is wrong with it |
//! | [`dag`] | a spec checked into a plan, which cannot be invalid |
//! | [`state`] | the legal moves of jobs, tasks and attempts |
//! | [`retry`] | which failure is tried again, and which retry waits how long |
//! | [`schedule`] | when a schedule fires, and what becomes of a time that has come |
//! | [`place`] | which free slot is offered to which lane |
//! | [`ahead`] | which agent without room is told of which waiting task |
//! | [`waiting`] | why no agent takes a task |
//! | [`webhook`] | where a webhook may lead, and when one that failed is tried again |
//! | [`tail`] | where the last lines of some output begin |
//! | [`tree`], [`times`] | the trees of a workspace |
//! | [`chunk`] | where a large file is cut, and the list of its pieces |
//! | [`frame`] | a blob as it travels and is stored: as it is, or compressed |
//! | [`patterns`] | paths chosen by lines of a `.gitignore` |
//! | [`select`] | which of a task's writes are kept |
//! | [`provenance`] | who wrote what |
//! | [`merge`] | the workspace of a task whose parents left different ones |

pub mod ahead;
pub mod chunk;
pub mod dag;
pub mod frame;
pub mod id;
pub mod merge;
pub mod patterns;
pub mod place;
pub mod provenance;
pub mod retry;
pub mod schedule;
pub mod select;
pub mod spec;
pub mod state;
pub mod tail;
pub mod times;
pub mod tree;
pub mod waiting;
pub mod webhook;
