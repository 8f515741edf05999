//! Webhooks: what this coordinator may send to whom, signed with what. When something is sent is decided in
//! `upkeep::webhooks`.
//!
//! | file | owns |
//! |---|---|
//! | [`door`] | the destinations that are allowed, and the secrets |
//! | [`post`] | one request: signed, sent, judged |

pub mod door;
pub mod post;

pub use door::{Door, DoorError};
pub use post::Sender;
