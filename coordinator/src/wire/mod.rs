//! Between what the coordinator knows and the words of the protocol, for whoever speaks it.
//!
//! | file | owns |
//! |---|---|
//! | [`convert`] | rows and messages |
//! | [`effort`] | what the files of an execution took |
//! | [`plan`] | a document checked, planned, and put as rows |
//! | [`status`] | errors as gRPC statuses |

pub mod convert;
pub mod effort;
pub mod plan;
pub mod schedule;
pub mod status;
