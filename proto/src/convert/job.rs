//! A submitted job from the wire.
//!
//! A faulty field becomes a problem and any value, so that the rest is judged as well.

use std::time::Duration;

use pbjson_types::{Duration as WireDuration, Timestamp};
use postq_common::{
    dag::{Plan, plan_with},
    spec::{
        After, Concurrency, Container, Failure, JobSpec, LabelRule, Limits, MaxAttempts, Problem,
        Problems, Rate, RetryPolicy, RunIf, Start, TaskSpec, Unique, WorkspaceUse, shown,
    },
    tree::Digest,
};
use prost::Message;

use super::{duration, value};
use crate::v1;

/// Makes a submitted job a plan, or tells all that is wrong with it.
pub fn plan(job: &v1::JobSpec, limits: &Limits) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::new(limits.problems);
    let (size, max) = (job.encoded_len(), limits.document_bytes);
    if size > max {
        problems
            .add(|| Problem::new("", format!("the document has {size} bytes; it may have {max}")));
    }
    let spec = convert_job(job, &mut problems);
    plan_with(spec, limits, problems)
}

/// A job as plain types; what it means is not checked yet.
pub fn job_spec(job: &v1::JobSpec) -> Result<JobSpec, Vec<Problem>> {
    let mut problems = Problems::new(Limits::default().problems);
    let spec = convert_job(job, &mut problems);
    problems.into_result().map(|()| spec)
}

/// A task as plain types with defaults filled in; what it means is not checked yet.
pub fn task_spec(task: &v1::TaskSpec) -> Result<TaskSpec, Vec<Problem>> {
    let mut problems = Problems::new(Limits::default().problems);
    let spec = Convert { problems: &mut problems, path: "" }.task(task);
    problems.into_result().map(|()| spec)
}

fn convert_job(job: &v1::JobSpec, problems: &mut Problems) -> JobSpec {
    let mut convert = Convert { problems, path: "" };
    let mut spec = JobSpec {
        name: job.name.clone(),
        queue: job.queue.clone(),
        env: job.env.clone(),
        priority: job.priority,
        input: convert.input(&job.input),
        on_conflict: convert.word::<v1::job_spec::OnConflict, _>(
            "on_conflict",
            job.on_conflict,
            "FAIL or PREFER_LAST_DEPENDENCY",
        ),
        start: Start {
            at_micros: convert.time("run_at", job.run_at.as_ref()),
            delay: convert.duration("delay", job.delay.as_ref()),
        },
        expires_after: convert.duration("expires_after", job.expires_after.as_ref()),
        timeout: convert.duration("timeout", job.timeout.as_ref()),
        unique: job.unique.as_ref().map(|unique| convert.unique(unique)),
        after: job.after.as_ref().map(|after| convert.after(after)),
        notify: job.notify,
        keep_workspace: convert.word::<v1::job_spec::KeepWorkspace, _>(
            "keep_workspace",
            job.keep_workspace,
            "ON_FAILURE, ALWAYS or NEVER",
        ),
        artifacts: job.artifacts.clone(),
        ignore: job.ignore.clone(),
        ..JobSpec::default()
    };
    if let Some(attributes) = &job.attributes {
        spec.attributes = value::object(attributes, "attributes", convert.problems);
    }
    let data = job.data.as_ref().map(|data| value::value(data, "data", convert.problems));
    // null is how JSON leaves a field out.
    spec.data = data.filter(|data| !data.is_null());
    for (name, task) in &job.tasks {
        let path = format!("tasks.{}.", shown(name));
        let task = Convert { problems: convert.problems, path: &path }.task(task);
        spec.tasks.insert(name.clone(), task);
    }
    spec
}

struct Convert<'a> {
    problems: &'a mut Problems,
    /// Before the name of each field.
    path: &'a str,
}

impl Convert<'_> {
    fn task(&mut self, task: &v1::TaskSpec) -> TaskSpec {
        let arguments = task.arguments.as_ref().map(|arguments| {
            value::value(arguments, &format!("{}arguments", self.path), self.problems)
        });
        TaskSpec {
            depends: task.depends.clone(),
            command: task.command.clone(),
            image: task.image.clone(),
            handler: task.handler.clone(),
            // null is how JSON leaves a field out.
            arguments: arguments.filter(|arguments| !arguments.is_null()),
            env: task.env.clone(),
            timeout: self.duration("timeout", task.timeout.as_ref()),
            grace: self.duration("grace", task.grace.as_ref()).unwrap_or(TaskSpec::DEFAULT_GRACE),
            retry: task.retry.as_ref().map(|retry| self.retry(retry)).unwrap_or_default(),
            run_if: self.run_if("run_if", task.run_if),
            workspace: self.workspace(task.workspace),
            priority: task.priority,
            delivery: self.word::<v1::task_spec::Delivery, _>(
                "delivery",
                task.delivery,
                "AT_LEAST_ONCE or AT_MOST_ONCE",
            ),
            crash_limit: task.crash_limit,
            concurrency: task.concurrency.as_ref().map(|concurrency| Concurrency {
                key: concurrency.key.clone(),
                limit: concurrency.limit,
            }),
            rate: task.rate.as_ref().map(|rate| Rate {
                key: rate.key.clone(),
                limit: rate.limit,
                period: self.duration("rate.period", rate.period.as_ref()).unwrap_or_default(),
            }),
            container: task.container.as_ref().map(|container| self.container(container)),
            secrets: task.secrets.clone(),
            // What is no amount is found when the spec is checked.
            resources: task
                .resources
                .iter()
                .map(|(name, amount)| (name.clone(), value::json_from_value(amount)))
                .collect(),
            requires: task.requires.iter().map(label_rule).collect(),
            outputs: task.outputs.clone(),
            ignore: task.ignore.clone(),
        }
    }

    fn container(&mut self, container: &v1::task_spec::Container) -> Container {
        Container {
            entrypoint: container.entrypoint.clone(),
            user: container.user.clone(),
            network: container.network.clone(),
            mounts: container.mounts.clone(),
            platform: container.platform.clone(),
            pull: self.word::<v1::task_spec::container::Pull, _>(
                "container.pull",
                container.pull,
                "MISSING, ALWAYS or NEVER",
            ),
            init: container.init,
            gpus: container.gpus.clone(),
        }
    }

    fn unique(&mut self, unique: &v1::job_spec::Unique) -> Unique {
        Unique {
            key: unique.key.clone(),
            scope: self.word::<v1::job_spec::unique::Scope, _>(
                "unique.scope",
                unique.scope,
                "QUEUE or ALL",
            ),
            period: self.duration("unique.period", unique.period.as_ref()),
            existing: self.word::<v1::job_spec::unique::Existing, _>(
                "unique.existing",
                unique.existing,
                "KEEP or REPLACE",
            ),
        }
    }

    fn after(&mut self, after: &v1::job_spec::After) -> After {
        After { jobs: after.jobs.clone(), run_if: self.run_if("after.run_if", after.run_if) }
    }

    fn retry(&mut self, retry: &v1::RetryPolicy) -> RetryPolicy {
        let default = RetryPolicy::default();
        let max_attempts = MaxAttempts::try_from(retry.max_attempts).unwrap_or_else(|error| {
            self.add("retry.max_attempts", error);
            default.max_attempts
        });
        let backoff = self.duration("retry.backoff", retry.backoff.as_ref());
        let max_backoff = self.duration("retry.max_backoff", retry.max_backoff.as_ref());
        let increment = self.duration("retry.increment", retry.increment.as_ref());
        let mut delays = Vec::new();
        for (index, delay) in retry.delays.iter().enumerate() {
            let delay = self.duration(&format!("retry.delays[{index}]"), Some(delay));
            delays.push(delay.unwrap_or_default());
        }
        RetryPolicy {
            max_attempts,
            backoff: backoff.unwrap_or(default.backoff),
            max_backoff: max_backoff.unwrap_or(default.max_backoff),
            factor: retry.factor.unwrap_or(default.factor),
            increment: increment.unwrap_or(default.increment),
            jitter: retry.jitter.unwrap_or(default.jitter),
            delays,
            outcomes: retry.outcomes.iter().map(|&o| self.failure(o)).collect(),
            exit_codes: retry.exit_codes.clone(),
        }
    }

    fn failure(&mut self, number: i32) -> Failure {
        let Ok(wire) = v1::retry_policy::Outcome::try_from(number) else {
            self.unknown("retry.outcomes", number, "FAILED or TIMED_OUT");
            return Failure::Failed;
        };
        wire.into()
    }

    /// Microseconds since the Unix epoch.
    fn time(&mut self, field: &str, wire: Option<&Timestamp>) -> Option<i64> {
        let time = chrono::DateTime::<chrono::Utc>::try_from(*wire?);
        if time.is_err() {
            self.add(field, "is not a time");
        }
        time.ok().map(|time| time.timestamp_micros())
    }

    /// An enum of ours from its number on the wire.
    fn word<W: TryFrom<i32> + Into<C>, C: Default>(
        &mut self,
        field: &str,
        number: i32,
        words: &str,
    ) -> C {
        W::try_from(number).map_or_else(
            |_| {
                self.unknown(field, number, words);
                C::default()
            },
            Into::into,
        )
    }

    fn duration(&mut self, field: &str, wire: Option<&WireDuration>) -> Option<Duration> {
        duration(wire?).map_err(|error| self.add(field, error)).ok()
    }

    fn run_if(&mut self, field: &str, number: i32) -> RunIf {
        self.word::<v1::task_spec::RunIf, _>(field, number, "SUCCEEDED, FAILED or FINISHED")
    }

    fn workspace(&mut self, number: i32) -> Option<WorkspaceUse> {
        let Ok(wire) = v1::task_spec::Workspace::try_from(number) else {
            self.unknown("workspace", number, "DEFAULT, FILES or NONE");
            return None;
        };
        wire.try_into().ok()
    }

    fn input(&mut self, text: &str) -> Option<Digest> {
        if text.is_empty() {
            return None;
        }
        let digest = text.parse();
        if digest.is_err() {
            self.add("input", "is not a digest of a snapshot; it has 64 hexadecimal digits");
        }
        digest.ok()
    }

    fn unknown(&mut self, field: &str, number: i32, words: &str) {
        self.add(field, format!("{number} is unknown; use {words}"));
    }

    fn add(&mut self, field: &str, message: impl ToString) {
        let path = format!("{}{field}", self.path);
        self.problems.add(|| Problem::new(path, message.to_string()));
    }
}

fn label_rule(rule: &v1::task_spec::LabelRule) -> LabelRule {
    LabelRule {
        label: rule.label.clone(),
        within: rule.r#in.clone(),
        without: rule.not_in.clone(),
        exists: rule.exists,
    }
}
