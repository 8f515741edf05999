//! From a document to rows: checked, planned, and put as `postq.admit` takes it.

use postq_common::{
    dag::{Gate, Plan, PlannedTask},
    id::JobId,
    spec::{Limits, Problem, WorkspaceUse},
    tree::Digest,
};
use postq_proto::{
    convert,
    document::{self, task_to_json},
    v1,
};
use serde_json::{Value, json};

use crate::store::{NewJob, Submission};

/// Executions of one task that may be lost with their agents.
const CRASH_LIMIT: i32 = 5;

/// A planned job, ready to be admitted, and the files it starts from.
#[derive(Debug)]
pub struct Planned {
    /// For the store.
    pub new: NewJob,
    /// Digest of the uploaded snapshot that its first tasks start from.
    pub input: Option<Digest>,
}

/// Plans a document that came by gRPC.
pub fn plan(
    id: JobId,
    document: &v1::JobSpec,
    traceparent: Option<String>,
) -> Result<Planned, Vec<Problem>> {
    let plan = convert::plan(document, &Limits::default())?;
    let mut spec = document.clone();
    let tasks = std::mem::take(&mut spec.tasks);
    let unwritable = |error: serde_json::Error| vec![Problem::new("", error.to_string())];
    let mut task_rows = Vec::with_capacity(plan.tasks().len());
    let mut digest = blake3::Hasher::new();
    for planned in plan.tasks() {
        let written = tasks.get(planned.name()).cloned().unwrap_or_default();
        let row = task_row(planned, task_to_json(&written).map_err(unwritable)?);
        digest.update(row.to_string().as_bytes());
        task_rows.push(row);
    }
    let spec = document::job_to_json(&spec).map_err(unwritable)?;
    digest.update(spec.to_string().as_bytes());
    let digest = digest.finalize().to_hex().to_string();
    let new = NewJob {
        job: job_row(id, &plan, spec, digest, traceparent),
        tasks: Value::Array(task_rows),
        gates: plan.gates().iter().map(gate_row).collect(),
        submission: None,
    };
    Ok(Planned { new, input: plan.input() })
}

/// Plans a document that came by SQL. The job's row is there already.
pub fn plan_submission(submission: &Submission) -> Result<Planned, Vec<Problem>> {
    let document = document::job_from_json(&submission.document).map_err(|e| vec![e.into()])?;
    let mut planned = plan(submission.job, &document, None)?;
    planned.new.submission = Some(submission.seq);
    Ok(planned)
}

fn job_row(
    id: JobId,
    plan: &Plan,
    spec: Value,
    digest: String,
    traceparent: Option<String>,
) -> Value {
    json!({
        "id": id, "queue": plan.queue(), "priority": plan.priority(), "name": plan.name(),
        "task_count": plan.tasks().len(), "spec": spec, "attributes": plan.attributes(),
        "digest": digest, "traceparent": traceparent,
    })
}

fn task_row(task: &PlannedTask, written: Value) -> Value {
    let spec = task.spec();
    json!({
        "n": task.number(), "name": task.name(), "gate": task.gate(),
        "executor": task.executor().as_str(), "handler": spec.handler,
        "run_if": spec.run_if.as_str(), "max_attempts": spec.retry.max_attempts.to_i32(),
        "crash_limit": CRASH_LIMIT,
        "backoff_ms": millis(spec.retry.backoff), "max_backoff_ms": millis(spec.retry.max_backoff),
        "depends": task.depends(), "parents": task.parents(),
        "has_workspace": task.workspace_use() == WorkspaceUse::Files, "spec": written,
    })
}

fn gate_row(gate: &Gate) -> Value {
    json!({
        "g": gate.number(), "first": gate.first(), "last": gate.last(), "parents": gate.parents(),
    })
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
