//! From a document to rows: checked, planned, and put as `postq.admit` takes it.

use std::time::Duration;

use chrono::DateTime;
use postq_common::{
    dag::{Gate, Plan, PlannedTask},
    id::JobId,
    spec::{
        After, Delivery, Executor, Existing, Limits, MaxAttempts, Problem, RetryPolicy, RunIf,
        Scope, Unique, WorkspaceUse,
    },
    tree::Digest,
    webhook::Webhook,
};
use postq_proto::{
    convert,
    document::{self, task_to_json},
    v1,
};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::store::{NewJob, Submission};

/// Problems of a list that are told: an answer has its limits.
const MOST_PROBLEMS: usize = 100;

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
    let mut rows = Vec::with_capacity(plan.tasks().len());
    let mut digest = blake3::Hasher::new();
    for planned in plan.tasks() {
        let written =
            tasks.get(planned.name()).map(task_to_json).transpose().map_err(unwritable)?;
        let written = to_raw_value(&written).map_err(unwritable)?;
        // A name holds no NUL.
        for part in [planned.name(), "\0", written.get(), "\0"] {
            digest.update(part.as_bytes());
        }
        rows.push(TaskRow::new(planned, written));
    }
    let spec = document::job_to_json(&spec).map_err(unwritable)?;
    digest.update(spec.to_string().as_bytes());
    let digest = digest.finalize().to_hex().to_string();
    let gates: Vec<_> = plan.gates().iter().map(GateRow::new).collect();
    let new = NewJob {
        job: job_row(id, &plan, spec, digest, traceparent),
        tasks: to_raw_value(&rows).map_err(unwritable)?,
        gates: to_raw_value(&gates).map_err(unwritable)?,
        submission: None,
    };
    Ok(Planned { new, input: plan.input() })
}

/// Plans documents that came in one list; the problems of all are told together.
pub fn plan_many(
    jobs: &[(JobId, v1::JobSpec)],
    traceparent: Option<&str>,
) -> Result<Vec<Planned>, Vec<Problem>> {
    let mut all = Vec::with_capacity(jobs.len());
    let mut problems = Vec::new();
    for (place, (id, document)) in jobs.iter().enumerate() {
        match plan(*id, document, traceparent.map(str::to_owned)) {
            Ok(planned) => all.push(planned),
            Err(found) => problems.extend(at(place, found)),
        }
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// Problems of a job that stands at that place of a list.
pub fn at(place: usize, problems: Vec<Problem>) -> Vec<Problem> {
    let at = |problem: Problem| {
        let dot = if problem.path.is_empty() { "" } else { "." };
        Problem::new(format!("jobs[{place}]{dot}{}", problem.path), problem.message)
    };
    problems.into_iter().map(at).collect()
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
    let written = plan.spec();
    json!({
        "id": id, "queue": plan.queue(), "priority": plan.priority(), "name": plan.name(),
        "task_count": plan.tasks().len(), "spec": spec, "attributes": plan.attributes(),
        "digest": digest, "traceparent": traceparent,
        "run_at": written.start.at_micros.and_then(DateTime::from_timestamp_micros),
        "delay_ms": written.start.delay.map(millis),
        "expires_after_ms": written.expires_after.map(millis),
        "timeout_ms": written.timeout.map(some_millis), "notify": written.notify,
        "unique": written.unique.as_ref().map(unique_row),
        "after": written.after.as_ref().map(after_row),
        "webhook": written.webhook.as_ref().map(webhook_row),
    })
}

fn after_row(after: &After) -> Value {
    // The check has read them before.
    let ids: Vec<JobId> = after.jobs.iter().filter_map(|id| id.parse().ok()).collect();
    json!({"jobs": ids, "run_if": after.run_if.as_str()})
}

fn webhook_row(webhook: &Webhook) -> Value {
    json!({"url": webhook.url, "secret": webhook.secret()})
}

fn unique_row(unique: &Unique) -> Value {
    json!({
        "key": unique.key, "is_global": unique.scope == Scope::All,
        "period_ms": unique.period.map(some_millis), "replaces": unique.existing == Existing::Replace,
    })
}

/// A task as `postq.add_tasks` reads it, which knows the same defaults.
#[derive(Serialize)]
struct TaskRow<'a> {
    n: u32,
    name: &'a str,
    spec: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_if: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_backoff_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash_limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most_once: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    increment_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delays_ms: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_codes: Option<&'a [i32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Value>,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    depends: &'a [u32],
    /// Left out where they are what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    parents: Option<&'a [u32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_workspace: Option<bool>,
}

impl<'a> TaskRow<'a> {
    fn new(task: &'a PlannedTask, written: Box<RawValue>) -> Self {
        let (spec, usual) = (task.spec(), RetryPolicy::default());
        let retry = &spec.retry;
        Self {
            n: task.number(),
            name: task.name(),
            spec: written,
            gate: task.gate(),
            executor: unless(task.executor(), Executor::Shell).map(Executor::as_str),
            handler: spec.handler.as_deref(),
            run_if: unless(spec.run_if, RunIf::Succeeded).map(RunIf::as_str),
            max_attempts: unless(retry.max_attempts, usual.max_attempts).map(MaxAttempts::to_i32),
            backoff_ms: unless(retry.backoff, usual.backoff).map(millis),
            max_backoff_ms: unless(retry.max_backoff, usual.max_backoff).map(millis),
            priority: spec.priority,
            crash_limit: unless(spec.crash_limit, 0),
            at_most_once: unless(spec.delivery == Delivery::AtMostOnce, false),
            factor: unless(retry.factor, usual.factor),
            increment_ms: unless(retry.increment, usual.increment).map(millis),
            jitter: unless(retry.jitter, usual.jitter),
            delays_ms: some(&retry.delays).map(|all| all.iter().copied().map(millis).collect()),
            outcomes: some(&retry.outcomes).map(|all| all.iter().map(|o| o.as_str()).collect()),
            exit_codes: some(&retry.exit_codes),
            concurrency: spec.concurrency.as_ref().map(|c| json!({"key": c.key, "limit": c.limit})),
            rate: spec.rate.as_ref().map(|rate| {
                json!({"key": rate.key, "limit": rate.limit, "period_ms": some_millis(rate.period)})
            }),
            depends: task.depends(),
            parents: unless(task.parents(), task.depends()),
            has_workspace: unless(task.workspace_use() == WorkspaceUse::Files, true),
        }
    }
}

fn unless<T: PartialEq>(value: T, usual: T) -> Option<T> {
    (value != usual).then_some(value)
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// A gate as `postq.add_tasks` reads it.
#[derive(Serialize)]
struct GateRow<'a> {
    g: u32,
    first: u32,
    last: u32,
    parents: &'a [u32],
}

impl<'a> GateRow<'a> {
    fn new(gate: &'a Gate) -> Self {
        Self { g: gate.number(), first: gate.first(), last: gate.last(), parents: gate.parents() }
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// At least one: no time at all is no limit.
fn some_millis(duration: Duration) -> i64 {
    millis(duration).max(1)
}
