//! What every PostQ process needs to live and to end well.
//!
//! | room | owns |
//! |---|---|
//! | [`shutdown`] | the only place that spawns tasks, and the way they stop |
//! | [`telemetry`] | logs, traces, and the trace context that travels with calls |
//! | [`tls`] | what encrypts |
//! | [`crash`] | places where a test can make a process die |
//! | [`channel`] | the connection of a client to a coordinator, with its credentials |

pub mod channel;
pub mod crash;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

pub use shutdown::{Shutdown, spawn_alone};
