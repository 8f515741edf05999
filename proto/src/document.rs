//! Between a document (text or JSON) and the messages, in the proto3-JSON form.
//!
//! | file | owns |
//! |---|---|
//! | `parse` | [`parse_job`], [`job_from_json`], [`task_from_json`] |
//! | `error` | [`DocumentError`]: where, and what to do |
//! | `output` | [`output_from_json`]: what a task gave |
//! | `unique` | JSON without a name twice |
//! | `earlier` | [`from_earlier_form`]: documents of the systems before this one |
//! | `write` | [`to_json`] and its special cases |
//!
//! What a document means is checked elsewhere; here it must only have the right shape.

mod earlier;
mod error;
mod output;
mod parse;
mod unique;
mod write;

pub(crate) use write::exact;

pub use earlier::from_earlier_form;
pub use error::DocumentError;
pub use output::{OUTPUT_BYTES, output_from_json};
pub use parse::{job_from_json, parse_job, task_from_json};
pub use write::{job_to_json, task_to_json, to_json};
