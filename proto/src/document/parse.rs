//! Reads documents.
//!
//! One parser reads YAML and JSON text, so that both have the same rules: no unknown field, no name
//! twice, no second document. What programs write is large and plain JSON without a fault, and a
//! JSON parser reads that five times faster; on any doubt the one parser has the word.

use postq_common::spec::Limits;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{
    Options, budget, options,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use super::{
    error::{DocumentError, explain},
    unique::Unique,
};
use crate::v1;

/// Reads a job in YAML or JSON.
pub fn parse_job(text: &str) -> Result<v1::JobSpec, DocumentError> {
    parse_text(text)
}

/// Reads a job from JSON that was parsed already, as from `jsonb`.
pub fn job_from_json(value: &Value) -> Result<v1::JobSpec, DocumentError> {
    from_json(value)
}

/// Reads one task from JSON that was parsed already.
pub fn task_from_json(value: &Value) -> Result<v1::TaskSpec, DocumentError> {
    from_json(value)
}

pub(super) fn parse_text<T: DeserializeOwned>(text: &str) -> Result<T, DocumentError> {
    parse_plain_json(text).map_or_else(|| parse_any(text), Ok)
}

/// What faultless JSON says; nothing is told about any other text.
fn parse_plain_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    let is_object = text.trim_start().starts_with('{');
    let max = Limits::default().document_bytes;
    let Unique(value) =
        serde_json::from_str(text).ok().filter(|_| is_object && text.len() <= max)?;
    T::deserialize(value).ok()
}

fn parse_any<T: DeserializeOwned>(text: &str) -> Result<T, DocumentError> {
    let max = Limits::default().document_bytes;
    if text.len() > max {
        let message = format!("the document has {} bytes; it may have {max}", text.len());
        return Err(DocumentError { path: String::new(), position: None, message });
    }
    let mut path = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, rules(), |source| {
        serde_path_to_error::deserialize(source).map_err(|error| {
            path = written(error.path());
            error.into_inner()
        })
    });
    parsed.map_err(|error| {
        let position = error.location().map(|at| (at.line(), at.column()));
        let message = explain(&path, &told(error.without_snippet(), position));
        DocumentError { path, position, message }
    })
}

fn rules() -> Options {
    options! {
        // As large as the text may be: a job may have 1,000,000 tasks.
        budget: budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        // A number is no string, in YAML as in JSON.
        no_schema: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// What the parser says, in words for somebody who does not know it.
fn told(error: &serde_saphyr::Error, position: Option<(u64, u64)>) -> String {
    use serde_saphyr::Error;
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or(String::new(), |key| format!(" {key:?}"));
            format!("has the name{key} twice; rename or remove one")
        }
        Error::QuotingRequired { value, .. } => format!("must be text; write \"{value}\""),
        Error::NonFiniteFloat { value, .. } => {
            format!("is {value}, which is not a number in JSON; remove it")
        }
        Error::Unexpected { expected: "sequence start", .. } => {
            "is not a list; write it as [a, b]".to_owned()
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "is not a mapping; write it as {name: value}".to_owned()
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here; write one job per document".to_owned()
        }
        other => {
            // It ends with the position, which is told apart.
            let text = other.to_string();
            let ending = position.map(|(line, column)| format!(" at line {line}, column {column}"));
            ending.and_then(|ending| text.strip_suffix(&ending)).unwrap_or(&text).to_owned()
        }
    }
}

fn from_json<T: DeserializeOwned>(value: &Value) -> Result<T, DocumentError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = written(error.path());
        let message = explain(&path, &error.inner().to_string());
        DocumentError { path, position: None, message }
    })
}

/// The path as a user would write it; the root has none.
fn written(path: &serde_path_to_error::Path) -> String {
    let written = path.to_string();
    let known = written.trim_end_matches('?').trim_end_matches('.');
    postq_common::spec::shown(known).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Either both read the same, or the JSON parser leaves the text to the other.
    #[test]
    fn plain_json_reads_the_same_by_both_parsers() {
        let tasks = |inner: &str| format!(r#"{{"tasks": {{"a": {{"command": "x"}}}}, {inner}}}"#);
        for (inner, is_plain) in [
            (r#""priority": 5"#, true),
            (r#""priority": -5, "name": "ü😀 \u00e9\ud83d\ude00\t\\""#, true),
            (r#""attributes": {"a": [1, 2.5, -0.0, 1e3, null, true, {"b": {}}], "": ""}"#, true),
            (r#""env": {"A": "1", "B": "no", "C": "null", "D": "~", "E": "0x1"}"#, true),
            (r#""on_conflict": "PREFER_LAST_DEPENDENCY""#, true),
            (r#""onConflict": 1"#, true),
            (r#""name": null"#, false),
            (r#""name": "a", "name": "b""#, false),
            (r#""attributes": {"a": 1, "a": 2}"#, false),
            (r#""env": {"A": 1}"#, false),
            (r#""nam": "a""#, false),
            (r#""attributes": {"a": 1e999}"#, false),
        ] {
            let text = tasks(inner);
            let plain = parse_plain_json::<v1::JobSpec>(&text);
            assert_eq!(plain.is_some(), is_plain, "{text}");
            let any = parse_any::<v1::JobSpec>(&text);
            assert_eq!(any.is_ok(), is_plain, "{text}");
            assert_eq!(plain, any.ok(), "{text}");
        }
    }
}
