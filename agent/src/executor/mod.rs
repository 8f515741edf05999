//! How a task's command is run: in a shell, or in a Docker container.
//!
//! | file | owns |
//! |---|---|
//! | `task` | what every executor is given, and what it gives back |
//! | `supervise` | the run of a started task against its timeout and whoever wants it stopped |
//! | `choice` | which executors this agent has |
//! | `shell` | `sh -c` under a guard |
//! | `docker` | containers; the only place that knows the Docker API |
//!
//! It knows nothing of reports and of coordinators.

mod choice;
mod docker;
mod shell;
mod supervise;
mod task;

pub use choice::{ExecutorError, ExecutorName, Executors};
pub use docker::{AllowedMount, DockerOptions, ImageLimits};
pub use shell::ShellOptions;
pub(crate) use supervise::{Cause, Finished, Limits, supervise};
pub(crate) use task::{DockerProgram, Ended, OUTPUT, PAPERS, Program, Resumed, Task, marker};
