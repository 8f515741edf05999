//! Reads documents.
//!
//! One parser reads YAML and JSON text, so that both have the same rules: no unknown field, no name
//! twice, no second document.

use postq_common::spec::Limits;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{
    Options, budget, options,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use super::error::{DocumentError, explain};
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
