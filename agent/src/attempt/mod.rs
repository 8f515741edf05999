//! One attempt, straight down the page: checkout -> execute -> snapshot -> report.
//!
//! | file | owns |
//! |---|---|
//! | `run` | the page |
//! | `environment` | what the task sees as its environment |
//! | `papers` | the files beside its workspace: what it is told, what it gives |
//! | `verdict` | how the end of a task reads in a report |
//! | `files` | the way to the workspace |
//! | `disk` | whether the agent's own disk takes writes |
//!
//! It knows nothing of streams and sessions.

pub(crate) mod disk;
mod environment;
mod files;
mod papers;
mod run;
mod verdict;

pub(crate) use files::Files;
pub(crate) use run::{Place, Ran, Runner};
pub(crate) use verdict::{held, lost, released};
