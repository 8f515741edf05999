//! Documents of the systems before this one: `tasks: {a: {command, params: {image, env}}}`, with the
//! queue as `qname` and free JSON as `data`.
//!
//! It only moves fields to where they are now; whatever else is in the document stays and is judged
//! with the rest.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    error::DocumentError,
    parse::{job_from_json, parse_text},
};

/// `text` in the present form: itself, unless it has fields of the earlier one. What it returns is
/// read by [`super::parse_job`].
pub fn from_earlier_form(text: &str) -> Result<Cow<'_, str>, DocumentError> {
    let may_be = ["params", "qname", "data"].iter().any(|word| text.contains(word));
    if !may_be {
        return Ok(Cow::Borrowed(text));
    }
    // Whatever is wrong with the text is told best by whoever reads it next.
    let Ok(mut job) = parse_text::<Value>(text) else {
        return Ok(Cow::Borrowed(text));
    };
    if !convert_job(&mut job)? {
        return Ok(Cow::Borrowed(text));
    }
    job_from_json(&job)?;
    Ok(Cow::Owned(job.to_string()))
}

/// Whether there was something to convert.
fn convert_job(job: &mut Value) -> Result<bool, DocumentError> {
    let Some(job) = job.as_object_mut() else { return Ok(false) };
    let mut is_earlier = rename(job, "", "qname", "queue")?;
    is_earlier |= rename(job, "", "data", "attributes")?;
    let Some(tasks) = job.get_mut("tasks").and_then(Value::as_object_mut) else {
        return Ok(is_earlier);
    };
    for (name, task) in tasks {
        if let Some(task) = task.as_object_mut() {
            is_earlier |= convert_task(task, &format!("tasks.{name}."))?;
        }
    }
    Ok(is_earlier)
}

fn convert_task(task: &mut Map<String, Value>, path: &str) -> Result<bool, DocumentError> {
    let params = match task.get_mut("params") {
        Some(Value::Object(params)) => std::mem::take(params),
        _ => return Ok(false),
    };
    task.remove("params");
    for (field, value) in params {
        if !matches!(field.as_str(), "image" | "env") {
            let path = format!("{path}params.{field}");
            return Err(refused(path, "is unknown; params may have image and env"));
        }
        place(task, path, &format!("params.{field}"), &field, value)?;
    }
    Ok(true)
}

fn rename(
    fields: &mut Map<String, Value>,
    path: &str,
    from: &str,
    to: &str,
) -> Result<bool, DocumentError> {
    match fields.remove(from) {
        None => Ok(false),
        Some(value) => place(fields, path, from, to, value).map(|()| true),
    }
}

fn place(
    fields: &mut Map<String, Value>,
    path: &str,
    from: &str,
    to: &str,
    value: Value,
) -> Result<(), DocumentError> {
    if fields.contains_key(to) {
        let message = format!("says the same as {to}; remove one of them");
        return Err(refused(format!("{path}{from}"), message));
    }
    fields.insert(to.to_owned(), value);
    Ok(())
}

fn refused(path: String, message: impl Into<String>) -> DocumentError {
    DocumentError { path, position: None, message: message.into() }
}
