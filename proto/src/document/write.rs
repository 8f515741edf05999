//! Writes messages as JSON.
//!
//! Invariant: a number without a fraction is written without one, though the wire carries all
//! numbers of free JSON as floating point.

use serde::Serialize;
use serde_json::{Number, Value};

use crate::v1;

/// Integers up to this are exact in floating point.
pub(super) const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A job as JSON. Fails only on what [`crate::convert::plan`] refuses: numbers and durations that do
/// not exist in JSON.
pub fn job_to_json(job: &v1::JobSpec) -> Result<Value, serde_json::Error> {
    to_json(job)
}

/// A task as JSON; see [`job_to_json`].
pub fn task_to_json(task: &v1::TaskSpec) -> Result<Value, serde_json::Error> {
    to_json(task)
}

/// Any message as proto3-JSON with the field names of the proto.
pub fn to_json<T: Serialize>(message: &T) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(message)?;
    write_integers(&mut value);
    Ok(value)
}

fn write_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(integer) = number.as_f64().filter(|_| number.is_f64()).and_then(exact) {
                *number = Number::from(integer);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_integers),
        Value::Object(fields) => fields.values_mut().for_each(write_integers),
        _ => {}
    }
}

/// The integer that `number` is, if it is one and exact.
#[allow(clippy::cast_possible_truncation)] // within the bounds just checked
pub(crate) fn exact(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < MAX_EXACT).then_some(number as i64)
}
