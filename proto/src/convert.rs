//! Between the messages of the wire and the types of `postq-common`.
//!
//! | file | owns |
//! |---|---|
//! | `job` | [`plan`], [`job_spec`], [`task_spec`] |
//! | `value` | free JSON |
//! | `words` | enums, both ways |
//! | `duration` | [`duration`] |
//!
//! Timestamps convert from and to chrono's by `From` and `TryFrom` of `pbjson_types`, durations to
//! the wire by `From`.

mod duration;
mod job;
mod value;
mod words;

pub use duration::{BadDuration, duration};
pub use job::{job_spec, plan, task_spec};
pub use value::{json_from_value, value_from_json};
pub use words::Unspecified;
