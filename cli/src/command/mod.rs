//! One file per sub-command: its arguments and what it does.
//!
//! Invariant: a command returns how the process ends; it never ends it.

pub mod agents;
pub mod cancel;
pub mod dag;
pub mod dead_letters;
pub mod get;
pub mod logs;
pub mod ls;
pub mod migrate;
pub mod queue;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod submit;
pub mod up;
pub mod wait;
pub mod watch;
pub mod workspace;
