//! Between what the store knows and the messages of the wire.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use postq_common::{
    id::{AttemptId, JobId, SessionId, TaskNumber},
    merge::OnConflict,
    spec::{Executor, Limits, Resources},
    state::{JobState, Outcome, TaskState},
    tree::{BadDigest, Snapshot},
};
use postq_proto::{
    convert,
    document::{self, DocumentError},
    v1::{self, assignment, attempt, job, task},
};
use serde_json::{Map, Value};
use tonic::Status;
use uuid::Uuid;

use super::{effort, plan::hex, status};
use crate::store::{
    AgentRow, ArtifactRow, AssignmentRow, AttemptKey, Finish, InputRow, JobRow, Roots, RunningRow,
    TaskRow,
};

/// The end of each stream that is kept with an attempt.
const TAIL: usize = 64 * 1024;
/// Characters of a reason that are kept.
const REASON: usize = 4096;

/// A job's id as given by a client.
pub fn job_id(field: &str, text: &str) -> Result<JobId, Status> {
    Uuid::parse_str(text)
        .map(JobId)
        .map_err(|_| status::bad_field(field, format!("{text:?} is not a job id (a UUID)")))
}

/// A job without its tasks.
pub fn job(row: &JobRow) -> v1::Job {
    v1::Job {
        id: row.id.to_string(),
        name: row.name.clone(),
        queue: row.queue.clone(),
        state: word(&row.state, |state: JobState| job::State::from(state) as i32),
        reason: row.reason.clone().unwrap_or_default(),
        priority: row.priority,
        attributes: object(&row.attributes.0),
        created_at: Some(row.created_at.into()),
        started_at: row.started_at.map(Into::into),
        finished_at: row.finished_at.map(Into::into),
        cancel_requested_at: row.cancel_requested_at.map(Into::into),
        revision: row.revision,
        task_count: row.task_count,
        open_tasks: row.open_tasks,
        tasks: Default::default(),
        tasks_truncated: false,
        traceparent: row.traceparent.clone().unwrap_or_default(),
        retry_of: row.retry_of.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// A task with its latest attempt.
pub fn task(row: TaskRow) -> v1::Task {
    let (results, results_raw) = text(row.results);
    let (errors, errors_raw) = text(row.errors);
    let attempt = row.attempt.map(|id| v1::Attempt {
        id,
        outcome: row.outcome.as_deref().map_or(0, |outcome| {
            word(outcome, |outcome: Outcome| attempt::Outcome::from(outcome) as i32)
        }),
        agent: row.agent.unwrap_or_default(),
        exit_code: row.exit_code,
        signal: row.signal,
        reason: row.attempt_reason.unwrap_or_default(),
        started_at: row.attempt_started_at.map(Into::into),
        finished_at: row.attempt_finished_at.map(Into::into),
        image: row.image.unwrap_or_default(),
        effort: row.effort.map(|effort| effort::to_wire(&effort.0)),
        ran_for: row.ran_ms.and_then(effort::millis),
    });
    v1::Task {
        name: row.name,
        state: word(&row.state, |state: TaskState| task::State::from(state) as i32),
        reason: row.reason.unwrap_or_default(),
        depends: row.depends,
        attempts: row.attempts,
        crashes: row.crashes,
        started_at: row.started_at.map(Into::into),
        finished_at: row.finished_at.map(Into::into),
        run_at: row.run_at.map(Into::into),
        attempt,
        results,
        errors,
        results_raw,
        errors_raw,
        snapshot: row.snapshot.map(|digest| hex(&digest)).unwrap_or_default(),
        number: row.n,
        revision: row.revision,
        output: row.output.map(|output| convert::value_from_json(&output.0)),
    }
}

/// An agent for operators.
pub fn agent(row: AgentRow) -> v1::Agent {
    let labels = row.labels.0.as_object().cloned().unwrap_or_default();
    v1::Agent {
        id: row.id.to_string(),
        name: row.name,
        host: row.host,
        version: row.version,
        session: row.session,
        coordinator: row.coordinator.map(|id| id.to_string()).unwrap_or_default(),
        is_connected: row.coordinator.is_some(),
        slots: row.slots,
        running: i32::try_from(row.running).unwrap_or(i32::MAX),
        executors: row.executors,
        handlers: row.handlers,
        labels: labels
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
            .collect(),
        connected_at: Some(row.connected_at.into()),
        left_at: row.left_at.map(Into::into),
        resources: amounts(&row.resources),
        resources_in_use: amounts(&row.resources_in_use),
        is_draining: row.is_draining,
        last_seen_at: row.last_seen_at.map(Into::into),
        attempts: row.attempts.0.into_iter().map(running).collect(),
    }
}

/// What stays of a job's files.
pub fn artifacts(row: ArtifactRow) -> v1::Artifacts {
    v1::Artifacts {
        job_id: row.job.to_string(),
        job_name: row.name,
        queue: row.queue,
        job_state: word(&row.state, |state: JobState| job::State::from(state) as i32),
        finished_at: Some(row.finished_at.into()),
        files: row.files,
        bytes: row.size_bytes,
        reason: row.reason.unwrap_or_default(),
    }
}

fn running(attempt: RunningRow) -> v1::agent::Running {
    v1::agent::Running {
        attempt: attempt.attempt,
        job_id: attempt.job.to_string(),
        task: attempt.task,
        started_at: Some(attempt.started_at.into()),
    }
}

/// What an agent is told of a task.
pub fn assignment(
    row: &AssignmentRow,
    input: Option<&Snapshot>,
    inputs: &[InputRow],
) -> Result<v1::Assignment, DocumentError> {
    let mut spec = document::task_from_json(&row.spec.0)?;
    let mut env = string_map(row.job_spec.get("env"));
    env.append(&mut spec.env);
    let mut ignore = string_list(row.job_spec.get("ignore"));
    ignore.extend(spec.ignore.iter().cloned());
    let data = row.job_spec.get("data").filter(|data| !data.is_null());
    // Said once.
    let (command, arguments) = (std::mem::take(&mut spec.command), spec.arguments.take());
    let executor = Executor::from_str(&row.executor)
        .map_or(assignment::Executor::Unspecified, assignment::Executor::from);
    Ok(v1::Assignment {
        attempt: row.attempt,
        job_id: row.job.to_string(),
        task: row.n,
        task_name: row.name.clone(),
        job_name: row.job_name.clone(),
        queue: row.queue.clone(),
        attempt_number: row.attempts + 1,
        executor: executor as i32,
        command,
        image: spec.image.clone().unwrap_or_default(),
        handler: spec.handler.clone().unwrap_or_default(),
        arguments,
        env,
        timeout: spec.timeout,
        grace: spec.grace,
        spec: Some(spec),
        attributes: row.job_spec.get("attributes").and_then(object),
        data: data.map(convert::value_from_json),
        inputs: inputs.iter().map(|row| (row.name.clone(), input_of(row))).collect(),
        input: input.map(snapshot),
        traceparent: row.traceparent.clone().unwrap_or_default(),
        is_exclusive: row.is_exclusive,
        ignore,
        resources: amounts(&row.needs.resources),
    })
}

/// The files of a task.
pub fn snapshot(snapshot: &Snapshot) -> v1::Snapshot {
    let [content, provenance, times] = snapshot.to_fields();
    v1::Snapshot { content, provenance, times }
}

/// Amounts for the wire.
fn amounts(resources: &Resources) -> BTreeMap<String, i64> {
    let amount = |&n| i64::try_from(n).unwrap_or(i64::MAX);
    resources.iter().map(|(name, n)| (name.clone(), amount(n))).collect()
}

/// What a dependency left, for the one that depends on it.
fn input_of(row: &InputRow) -> v1::Input {
    v1::Input {
        state: word(&row.state, |state: TaskState| task::State::from(state) as i32),
        output: row.output.as_ref().map(|output| convert::value_from_json(&output.0)),
        results: String::from_utf8_lossy(row.results.as_deref().unwrap_or_default()).into_owned(),
    }
}

/// What the job says about conflicts.
pub fn on_conflict(job_spec: &Value) -> OnConflict {
    let given = job_spec.get("onConflict").or_else(|| job_spec.get("on_conflict"));
    conflict_rule(given.and_then(Value::as_str))
}

/// What that word says about conflicts.
pub fn conflict_rule(word: Option<&str>) -> OnConflict {
    match word {
        Some("PREFER_LAST_DEPENDENCY") => OnConflict::PreferLast,
        _ => OnConflict::Fail,
    }
}

/// A report as the committer takes it; none where it names no attempt or no outcome.
pub fn finish(report: &v1::Report, session: SessionId) -> Option<Finish> {
    let of = report.of.as_ref()?;
    let key = AttemptKey {
        attempt: AttemptId(of.attempt),
        session,
        job: JobId(of.job_id.parse().ok()?),
        task: TaskNumber(of.task),
    };
    let ran_for = report.ran_for.as_ref().and_then(|ran| convert::duration(ran).ok());
    let mut outcome = report.outcome().try_into().ok()?;
    let mut reason = (!report.reason.is_empty()).then(|| printable(&report.reason));
    let result = match document::output_from_json(&report.result) {
        Ok(result) => result.filter(|_| outcome == Outcome::Succeeded),
        Err(fault) => {
            if outcome == Outcome::Succeeded {
                outcome = Outcome::Failed;
                reason = Some(printable(&format!("its output {fault}")));
            }
            None
        }
    };
    Some(Finish {
        key,
        outcome,
        exit_code: report.exit_code,
        signal: report.signal,
        reason,
        result: result.map(|result| result.to_string()),
        image: (!report.image.is_empty()).then(|| printable(&report.image)),
        results: Some(tail(&report.stdout)),
        errors: Some(tail(&report.stderr)),
        output: report.output.as_ref().map(roots).transpose().ok()?,
        effort: report.effort.as_ref().map(effort::from_wire),
        ran_ms: ran_for.and_then(|ran| i64::try_from(ran.as_millis()).ok()),
        log_chunks: Some(report.log_chunks),
        is_final: report.is_final,
        retry_after_ms: report.retry_after.as_ref().and_then(pause_ms),
    })
}

/// A pause that an agent asks for; none where it is no length of time.
fn pause_ms(pause: &pbjson_types::Duration) -> Option<i64> {
    let pause = convert::duration(pause).ok()?.min(Limits::default().duration);
    i64::try_from(pause.as_millis()).ok()
}

/// A snapshot's roots, where they are digests.
fn roots(output: &v1::Snapshot) -> Result<Roots, BadDigest> {
    let v1::Snapshot { content, provenance, times } = output;
    let [content, provenance, times] =
        Snapshot::from_fields(content, provenance, times)?.to_fields();
    Ok(Roots { content, provenance, times })
}

/// Free JSON as a `Struct`.
pub fn object(value: &Value) -> Option<pbjson_types::Struct> {
    let fields = value.as_object().filter(|fields| !fields.is_empty())?;
    let fields =
        fields.iter().map(|(key, value)| (key.clone(), convert::value_from_json(value))).collect();
    Some(pbjson_types::Struct { fields })
}

/// A reason as it can be stored: Postgres text holds no NUL, and nobody reads more.
fn printable(reason: &str) -> String {
    let text: String = reason.chars().take(REASON).collect();
    text.replace('\0', "\u{fffd}")
}

fn tail(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(TAIL)..].to_vec()
}

/// The text of some bytes, and the bytes themselves where the text is not faithful.
fn text(bytes: Option<Vec<u8>>) -> (String, Vec<u8>) {
    match String::from_utf8(bytes.unwrap_or_default()) {
        Ok(text) => (text, Vec::new()),
        Err(invalid) => {
            (String::from_utf8_lossy(invalid.as_bytes()).into_owned(), invalid.into_bytes())
        }
    }
}

fn word<T: FromStr>(text: &str, number: impl FnOnce(T) -> i32) -> i32 {
    text.parse().map_or(0, number)
}

fn string_map(value: Option<&Value>) -> std::collections::BTreeMap<String, String> {
    let empty = Map::new();
    value
        .and_then(Value::as_object)
        .unwrap_or(&empty)
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn string_list(value: Option<&Value>) -> Vec<String> {
    let texts = value.and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

/// The words for states. One that this release does not know is refused: without it, more would be listed.
pub fn state_words<W, S>(states: &[i32]) -> Result<Vec<String>, Status>
where
    W: TryFrom<i32, Error: Display>,
    S: TryFrom<W, Error: Display> + Display,
{
    let word = |state: &i32| {
        let wire = W::try_from(*state).map_err(|error| error.to_string())?;
        S::try_from(wire).map(|state| state.to_string()).map_err(|error| error.to_string())
    };
    states
        .iter()
        .map(word)
        .collect::<Result<_, _>>()
        .map_err(|why| status::bad_field("states", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_no_text_is_given_as_bytes_too() {
        assert_eq!(text(Some(b"a\xff".to_vec())), ("a\u{fffd}".into(), b"a\xff".to_vec()));
        assert_eq!(text(Some(b"ab".to_vec())), ("ab".into(), Vec::new()));
    }

    #[test]
    fn a_pause_beyond_reason_is_cut_and_a_negative_one_is_none() {
        let pause = |seconds| pause_ms(&pbjson_types::Duration { seconds, nanos: 0 });
        assert_eq!(pause(2), Some(2000));
        assert_eq!(pause(-1), None);
        assert_eq!(pause(3_660 * 86_400 + 1), Some(3_660 * 86_400_000));
    }

    #[test]
    fn a_report_without_an_outcome_is_no_end() {
        let of = v1::Held { attempt: 1, job_id: Uuid::nil().to_string(), task: 0 };
        let report = v1::Report { of: Some(of), ..Default::default() };
        assert!(finish(&report, SessionId(1)).is_none());
    }
}
