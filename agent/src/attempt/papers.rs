//! The files a task finds beside its workspace, and the one it may leave there.
//!
//! ```text
//! papers/job.json      the job and the task
//! papers/data.json     the job's data
//! papers/inputs.json   what the tasks it depends on left
//! output/output.json   what it gives
//! ```
//! Invariant: none of them is ever in a snapshot, and what a task puts in the place of the last is
//! neither followed nor waited for.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use postq_proto::{
    convert::json_from_value,
    document::{OUTPUT_BYTES, output_from_json, task_to_json},
    v1,
};
use serde_json::{Map, Value, json};

use crate::scratch::Scratch;

/// The name of the output.
const OUTPUT_FILE: &str = "output.json";

/// The variables that name the files, for a task that sees the directories there.
pub(super) fn variables(papers: &Path, output: &Path) -> [(String, String); 4] {
    [
        ("POSTQ_JOB", papers.join("job.json")),
        ("POSTQ_DATA", papers.join("data.json")),
        ("POSTQ_INPUTS", papers.join("inputs.json")),
        ("POSTQ_OUTPUT", output.join(OUTPUT_FILE)),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_string_lossy().into_owned()))
}

/// Writes those that a task finds. Blocks on the disk.
pub(super) fn write(assignment: &v1::Assignment, scratch: &Scratch) -> io::Result<()> {
    let put = |name: &str, value: &Value| {
        let path = scratch.papers().join(name);
        fs::write(&path, value.to_string())?;
        fs::set_permissions(&path, Permissions::from_mode(0o444))
    };
    put("job.json", &job(assignment)?)?;
    put("data.json", &assignment.data.as_ref().map_or(Value::Null, json_from_value))?;
    put("inputs.json", &inputs(assignment))
}

fn job(assignment: &v1::Assignment) -> io::Result<Value> {
    let mut spec = assignment.spec.clone().unwrap_or_default();
    spec.command = assignment.command.clone();
    spec.arguments = assignment.arguments.clone();
    let attributes = assignment.attributes.clone().unwrap_or_default();
    let fields =
        attributes.fields.iter().map(|(name, field)| (name.clone(), json_from_value(field)));
    Ok(json!({
        "id": assignment.job_id,
        "name": assignment.job_name,
        "queue": assignment.queue,
        "attributes": fields.collect::<Map<_, _>>(),
        "task": assignment.task_name,
        "attempt": assignment.attempt,
        "attempt_number": assignment.attempt_number,
        "spec": task_to_json(&spec)?,
    }))
}

fn inputs(assignment: &v1::Assignment) -> Value {
    let input = |(name, input): (&String, &v1::Input)| {
        let output = input.output.as_ref().map_or(Value::Null, json_from_value);
        let state = input.state().as_str_name().to_lowercase();
        (name.clone(), json!({"state": state, "output": output, "results": input.results}))
    };
    Value::Object(assignment.inputs.iter().map(input).collect())
}

/// What the task gave; the fault reads on from "its output". Blocks on the disk.
pub(super) fn read_output(scratch: &Scratch) -> Result<Option<Value>, String> {
    let path: PathBuf = scratch.output().join(OUTPUT_FILE);
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let file = match File::options().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err("is no file".to_owned());
    }
    let mut text = Vec::new();
    // One byte more tells that it is too large.
    let most = OUTPUT_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() > OUTPUT_BYTES {
        return Err(format!("has more than {OUTPUT_BYTES} bytes; leave larger ones in a file"));
    }
    output_from_json(&text)
}

#[cfg(test)]
mod tests {
    use postq_proto::convert::value_from_json;

    use super::*;

    fn scratch() -> (tempfile::TempDir, Scratch) {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(dir.path().join("scratch")).unwrap();
        (dir, scratch)
    }

    #[test]
    fn the_papers_tell_of_the_job_its_data_and_what_came_before() {
        let (_dir, scratch) = scratch();
        let input = v1::Input {
            state: v1::task::State::Succeeded.into(),
            output: Some(value_from_json(&json!([1, 2.5]))),
            results: "ok\n".into(),
        };
        let attributes = value_from_json(&json!({"team": "data"}));
        let Some(pbjson_types::value::Kind::StructValue(attributes)) = attributes.kind else {
            panic!("an object");
        };
        let assignment = v1::Assignment {
            job_id: "id".into(),
            command: "true".into(),
            attributes: Some(attributes),
            data: Some(value_from_json(&json!({"deep": [{"a": null}]}))),
            inputs: [("before".to_owned(), input)].into(),
            spec: Some(v1::TaskSpec { depends: vec!["before".into()], ..Default::default() }),
            ..Default::default()
        };
        write(&assignment, &scratch).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(scratch.papers().join(name)).unwrap()).unwrap()
        };
        let job = read("job.json");
        assert_eq!((&job["id"], &job["attributes"]), (&json!("id"), &json!({"team": "data"})));
        assert_eq!(job["spec"], json!({"command": "true", "depends": ["before"]}));
        assert_eq!(read("data.json"), json!({"deep": [{"a": null}]}));
        let before = json!({"state": "succeeded", "output": [1, 2.5], "results": "ok\n"});
        assert_eq!(read("inputs.json"), json!({"before": before}));
    }

    #[test]
    fn what_is_no_output_is_told_and_nothing_is_followed() {
        let (_dir, scratch) = scratch();
        assert_eq!(read_output(&scratch), Ok(None));
        let path = scratch.output().join(OUTPUT_FILE);
        fs::write(&path, "{\"a\": 1}").unwrap();
        assert_eq!(read_output(&scratch), Ok(Some(json!({"a": 1}))));
        fs::write(&path, " ".repeat(OUTPUT_BYTES + 1)).unwrap();
        assert!(read_output(&scratch).unwrap_err().contains("more than 1048576 bytes"));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(read_output(&scratch).unwrap_err().contains("cannot be read"));
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_output(&scratch), Err("is no file".into()));
    }
}
