//! Runs tasks in containers of a Docker engine; the only place that knows its API.
//!
//! | file | owns |
//! |---|---|
//! | `engine` | the connection, and what an earlier life of the agent left |
//! | `image` | that the image is on this host |
//! | `container` | one container from its making to its removal |
//!
//! Invariant: every container carries the agent's id as a label and is removed with its volumes.

mod container;
mod engine;
mod image;

pub(crate) use container::Control;
pub(crate) use engine::Docker;
