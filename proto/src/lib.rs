//! The contract of PostQ: the generated types and services of `postq.v1`, and what leads from a
//! document or a message on the wire to the types of `postq-common` and back.
//!
//! | room | owns |
//! |---|---|
//! | [`v1`] | the generated types and services |
//! | [`document`] | between text or JSON and the messages |
//! | [`convert`] | between the messages and the types of `postq-common` |
//! | `words` | messages of an agent's stream as the words they hold |
//!
//! Nothing here decides anything; the rules are in `postq-common`.

pub mod convert;
pub mod document;
mod words;

/// Generated from `proto/postq/v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)] // generated code
pub mod v1 {
    tonic::include_proto!("postq.v1");
    include!(concat!(env!("OUT_DIR"), "/postq.v1.serde.rs"));
}

/// The encoded `FileDescriptorSet` of `postq.v1`, for reflection and for tests over the contract.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/postq_descriptor.bin"));
