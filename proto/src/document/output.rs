//! The JSON document that a task gives: checked alike where it is read and where it is stored.
//!
//! Invariant: what passes can be stored as `jsonb` and carried by the wire without a change.

use serde_json::{Number, Value};

use super::write::{MAX_EXACT, exact};

/// The largest output, in bytes of text.
pub const OUTPUT_BYTES: usize = 1024 * 1024;

/// What a task gave; no text is no output. The fault reads on from "its output".
pub fn output_from_json(text: &[u8]) -> Result<Option<Value>, String> {
    if text.len() > OUTPUT_BYTES {
        return Err(format!("has {} bytes; it may have {OUTPUT_BYTES}", text.len()));
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let mut value =
        serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"))?;
    settle(&mut value)?;
    Ok(Some(value))
}

/// Refuses what is rounded on the way, and writes whole numbers as such.
fn settle(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(text) => without_nul(text),
        Value::Number(number) => settle_number(number),
        Value::Array(items) => items.iter_mut().try_for_each(settle),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, field)| {
            without_nul(name)?;
            settle(field)
        }),
    }
}

fn settle_number(number: &mut Number) -> Result<(), String> {
    let float = number.as_f64().unwrap_or(f64::INFINITY);
    match exact(float) {
        Some(integer) => *number = integer.into(),
        None if float.abs() >= MAX_EXACT => {
            let message = "that JSON cannot carry (beyond 2^53); write it as a string";
            return Err(format!("has the number {number} {message}"));
        }
        None => {}
    }
    Ok(())
}

fn without_nul(text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err("has a NUL character, which cannot be stored; remove it".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_passes_and_all_else_is_told() {
        let read = |text: &str| output_from_json(text.as_bytes());
        assert_eq!(read(" \n"), Ok(None));
        assert_eq!(read("null\n"), Ok(Some(Value::Null)));
        assert_eq!(read(r#"{"a": [1.0, -2.5, "é"]}"#), Ok(Some(json!({"a": [1, -2.5, "é"]}))));
        for (text, wanted) in [
            ("{", "is not JSON: EOF"),
            ("1 2", "is not JSON: trailing"),
            ("9007199254740993", "beyond 2^53"),
            ("[1e300]", "beyond 2^53"),
            (r#"{"a\u0000": 1}"#, "NUL"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(wanted), "{text}: {fault}");
        }
        assert!(output_from_json(b"\"\xff\"").unwrap_err().contains("is not JSON"));
        let large = format!("\"{}\"", "x".repeat(OUTPUT_BYTES));
        assert_eq!(read(&large), Err("has 1048578 bytes; it may have 1048576".into()));
    }
}
