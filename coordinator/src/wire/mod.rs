//! Between what the coordinator knows and the words of the protocol, for whoever speaks it.
//!
//! | file | owns |
//! |---|---|
//! | [`convert`] | rows and messages |
//! | [`effort`] | what the files of an execution took |
//! | [`log_page`] | output as it is in the blob store |
//! | [`plan`] | a document checked, planned, and put as rows |
//! | [`status`] | errors as gRPC statuses |

pub mod convert;
pub mod effort;
pub mod log_page;
pub mod plan;
pub mod schedule;
pub mod status;
