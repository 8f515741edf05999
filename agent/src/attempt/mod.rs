//! One attempt, straight down the page: checkout -> execute -> snapshot -> report.
//!
//! | file | owns |
//! |---|---|
//! | `run` | the page |
//! | `environment` | what the task sees as its environment |
//! | `verdict` | how the end of a task reads in a report |
//! | `files` | the way to the workspace |
//!
//! It knows nothing of streams and sessions.

mod environment;
mod files;
mod run;
mod verdict;

pub(crate) use files::Files;
pub(crate) use run::Runner;
pub(crate) use verdict::{held, lost, released};
