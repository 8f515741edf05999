//! The rules for fields that can be judged one by one: everything but the graph.
//!
//! Invariant: a spec that passes can be stored in Postgres (no NUL anywhere) and handed to a
//! process by Linux (sizes).

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    Concurrency, Executor, JobSpec, Limits, Problem, Problems, Rate, RetryPolicy, TaskSpec, shown,
    text::{name_fault, queue_fault, task_name_fault, variable_name_fault},
};
use crate::id::JobId;

/// Adds what is wrong with single fields of `job`.
pub(crate) fn check_fields(job: &JobSpec, limits: &Limits, problems: &mut Problems) {
    let mut check = Check { limits, problems, path: String::new() };
    check.job(job);
    let shared_env = env_bytes(&job.env);
    for (name, task) in &job.tasks {
        check.path = format!("tasks.{}", shown(name));
        check.task(name, task, shared_env);
    }
}

pub(super) struct Check<'a> {
    pub(super) limits: &'a Limits,
    problems: &'a mut Problems,
    /// Of the task in hand; empty for the job.
    path: String,
}

impl Check<'_> {
    /// Adds a problem of `field` of what is in hand.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        let path = match (self.path.as_str(), field) {
            ("", field) => field.to_owned(),
            (path, "") => path.to_owned(),
            (path, field) => format!("{path}.{field}"),
        };
        self.problems.add(|| Problem::new(path, message));
    }

    pub(super) fn add_fault(&mut self, field: &str, fault: Option<String>) {
        if let Some(message) = fault {
            self.add(field, message);
        }
    }

    fn job(&mut self, job: &JobSpec) {
        let max = self.limits.name_bytes;
        self.add_fault("name", name_fault("job name", &job.name, max));
        self.add_fault("queue", queue_fault(&job.queue, max));
        self.priority(job.priority);
        let attributes_bytes: usize =
            job.attributes.iter().map(|(key, value)| key.len() + 4 + json_bytes(value)).sum();
        self.size("attributes", attributes_bytes, self.limits.attributes_bytes);
        if job.attributes.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
            self.nul("attributes");
        }
        self.env(&job.env, 0);
        self.when(job);
        self.whose(job);
        self.files_of_job(job);
        match job.tasks.len() {
            0 => self.add("tasks", "the job has no task; add at least one"),
            n if n > self.limits.tasks => {
                let max = self.limits.tasks;
                self.add("tasks", format!("the job has {n} tasks; it may have {max}"));
            }
            _ => {}
        }
    }

    fn priority(&mut self, priority: i32) {
        let (low, high) = (self.limits.priority.start(), self.limits.priority.end());
        if !self.limits.priority.contains(&priority) {
            self.add("priority", format!("is {priority}; it may be {low} to {high}"));
        }
    }

    /// The fields that say when the job begins and must have ended.
    fn when(&mut self, job: &JobSpec) {
        if job.start.at_micros.is_some() && job.start.delay.is_some() {
            self.add("run_at", "is set beside delay; set one of them");
        }
        self.duration("delay", job.start.delay.unwrap_or_default());
        self.some_time("expires_after", "job", job.expires_after);
        self.some_time("timeout", "job", job.timeout);
    }

    /// The fields that hold the job against others, and its data.
    fn whose(&mut self, job: &JobSpec) {
        if let Some(data) = &job.data {
            self.size("data", json_bytes(data), self.limits.data_bytes);
            if has_nul(data) {
                self.nul("data");
            }
        }
        if let Some(unique) = &job.unique {
            self.key("unique.key", &unique.key);
            if unique.period == Some(Duration::ZERO) {
                self.add("unique.period", "is zero; leave it out for as long as the job is open");
            }
            self.duration("unique.period", unique.period.unwrap_or_default());
        }
        let Some(after) = &job.after else { return };
        match after.jobs.len() {
            0 => self.add("after.jobs", "is empty; name a job, or leave after out"),
            n if n > self.limits.after => {
                let max = self.limits.after;
                self.add("after.jobs", format!("names {n} jobs; it may name {max}"));
            }
            _ => {}
        }
        for (index, job) in after.jobs.iter().enumerate() {
            if job.parse::<JobId>().is_err() {
                let field = format!("after.jobs[{index}]");
                self.add(&field, "is not the id of a job, which is a UUID");
            }
        }
    }

    /// A duration that may be left out but must not be zero.
    fn some_time(&mut self, field: &str, what: &str, duration: Option<Duration>) {
        if duration == Some(Duration::ZERO) {
            let message =
                format!("is zero; give the {what} some time, or leave it out for no limit");
            self.add(field, message);
        }
        self.duration(field, duration.unwrap_or_default());
    }

    /// The name of something that tasks or jobs share.
    fn key(&mut self, field: &str, key: &str) {
        if key.is_empty() {
            self.add(field, "is empty; name a key");
        }
        self.add_fault(field, name_fault("key", key, self.limits.name_bytes));
    }

    fn task(&mut self, name: &str, task: &TaskSpec, shared_env: usize) {
        self.add_fault("", task_name_fault(name, self.limits.name_bytes));
        self.what_runs(task);
        self.image(task);
        self.handler(task);
        self.size("command", task.command.len(), self.limits.command_bytes);
        if task.command.contains('\0') {
            self.nul("command");
        }
        self.env(&task.env, shared_env);
        self.some_time("timeout", "task", task.timeout);
        self.duration("grace", task.grace);
        self.retry(&task.retry);
        if let Some(priority) = task.priority {
            self.priority(priority);
        }
        let max = self.limits.crashes;
        if !(0..=max).contains(&task.crash_limit) {
            let message = format!("is {}; write 1 to {max}", task.crash_limit);
            self.add("crash_limit", message);
        }
        if let Some(Concurrency { key, limit }) = &task.concurrency {
            self.key("concurrency.key", key);
            self.at_least_one("concurrency.limit", *limit);
        }
        if let Some(Rate { key, limit, period }) = &task.rate {
            self.key("rate.key", key);
            self.at_least_one("rate.limit", *limit);
            if period.is_zero() {
                self.add("rate.period", "is zero; give it a time, as 60s");
            }
            self.duration("rate.period", *period);
        }
        self.extras(task);
        self.needs(task);
        self.files_of_task(task);
    }

    fn at_least_one(&mut self, field: &str, number: i32) {
        if number < 1 {
            self.add(field, format!("is {number}; write 1 or more"));
        }
    }

    fn retry(&mut self, retry: &RetryPolicy) {
        self.duration("retry.backoff", retry.backoff);
        self.duration("retry.max_backoff", retry.max_backoff);
        if !(1.0..=100.0).contains(&retry.factor) {
            self.add("retry.factor", "is out of range; it may be 1 to 100");
        }
        self.duration("retry.increment", retry.increment);
        if !(0.0..=1.0).contains(&retry.jitter) {
            self.add("retry.jitter", "is out of range; it may be 0 to 1");
        }
        let (n, max) = (retry.delays.len(), self.limits.delays);
        if n > max {
            self.add("retry.delays", format!("has {n} pauses; it may have {max}"));
        }
        for (index, delay) in retry.delays.iter().enumerate() {
            self.duration(&format!("retry.delays[{index}]"), *delay);
        }
        for (index, code) in retry.exit_codes.iter().enumerate() {
            if !(1..=255).contains(code) {
                let message = format!("is {code}; the exit code of a failure is 1 to 255");
                self.add(&format!("retry.exit_codes[{index}]"), message);
            }
        }
    }

    fn what_runs(&mut self, task: &TaskSpec) {
        if task.image.is_some() && task.handler.is_some() {
            self.add("handler", "is set beside image; a task has one of them");
            return;
        }
        match task.executor() {
            Executor::Shell if task.command.is_empty() => {
                self.add("command", "is empty; write a command, or set image or handler");
            }
            Executor::Handler if !task.command.is_empty() => {
                self.add("command", "is set beside handler, which runs no command; remove one");
            }
            _ => {}
        }
        if task.arguments.is_some() && task.handler.is_none() {
            self.add("arguments", "are for a handler, and the task has none; remove them");
        }
    }

    fn image(&mut self, task: &TaskSpec) {
        match task.image.as_deref() {
            None => {}
            Some("") => self.add("image", "is empty; name an image, or leave it out for a shell"),
            Some(image) if image.contains(|c: char| c.is_whitespace() || c.is_control()) => {
                self.add("image", "has a space or control character; name an image");
            }
            Some(image) => self.size("image", image.len(), self.limits.image_bytes),
        }
    }

    fn handler(&mut self, task: &TaskSpec) {
        match task.handler.as_deref() {
            None => {}
            Some("") => self.add("handler", "is empty; name a handler, or leave it out"),
            Some(handler) => {
                let max = self.limits.name_bytes;
                self.add_fault("handler", name_fault("handler name", handler, max));
            }
        }
        let Some(arguments) = &task.arguments else { return };
        self.size("arguments", json_bytes(arguments), self.limits.arguments_bytes);
        if has_nul(arguments) {
            self.nul("arguments");
        }
    }

    fn env(&mut self, env: &BTreeMap<String, String>, shared_env: usize) {
        for (name, value) in env {
            let field = format!("env.{}", shown(name));
            let fault = variable_name_fault(name, self.limits.name_bytes);
            self.add_fault(&field, fault);
            self.size(&field, name.len() + 1 + value.len(), self.limits.variable_bytes);
            if value.contains('\0') {
                self.nul(&field);
            }
        }
        if !env.is_empty() {
            self.size("env", shared_env + env_bytes(env), self.limits.env_bytes);
        }
    }

    pub(super) fn size(&mut self, field: &str, bytes: usize, max: usize) {
        if bytes > max {
            self.add(field, format!("has {bytes} bytes; it may have {max}"));
        }
    }

    fn duration(&mut self, field: &str, duration: Duration) {
        let max = self.limits.duration;
        if duration > max {
            let (given, max) = (duration.as_secs(), max.as_secs());
            self.add(field, format!("is {given}s; it may be {max}s"));
        }
    }

    pub(super) fn nul(&mut self, field: &str) {
        self.add(field, "has a NUL character, which cannot be stored or run; remove it");
    }
}

fn env_bytes(env: &BTreeMap<String, String>) -> usize {
    env.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
}

/// About the size of `value` as JSON, without writing it.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<usize>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(key, item)| key.len() + 4 + json_bytes(item)).sum::<usize>()
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => {
            fields.iter().any(|(key, item)| key.contains('\0') || has_nul(item))
        }
        _ => false,
    }
}
