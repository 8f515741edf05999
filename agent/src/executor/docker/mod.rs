//! Runs tasks in containers of a Docker engine; the only place that knows its API.
//!
//! | file | owns |
//! |---|---|
//! | `engine` | the connection, and what an earlier life of the agent left |
//! | `options` | what tasks may ask for on this host |
//! | `image` | that the image is on this host |
//! | `pulled`, `garbage` | which images were pulled, and which of them go |
//! | `progress` | what the log of a task tells of a pull |
//! | `registry` | credentials |
//! | `body` | how a container is made |
//! | `fault` | what it is to an attempt that the engine fails |
//! | `container` | one container from its making to its removal |
//! | `owner` | files that it made as another user |
//! | `host` | where the engine finds the files of an agent that is in a container itself |
//!
//! Invariant: every container carries the agent's id as a label and is removed with its volumes.

mod body;
mod container;
mod engine;
mod fault;
mod garbage;
mod host;
mod image;
mod options;
mod owner;
mod progress;
mod pulled;
mod registry;

pub(crate) use container::Control;
pub(crate) use engine::Docker;
pub use garbage::ImageLimits;
pub(crate) use image::Image;
pub use options::{AllowedMount, DockerOptions};
