//! The rules for fields that can be judged one by one: everything but the graph.
//!
//! Invariant: a spec that passes can be stored in Postgres (no NUL anywhere) and handed to a
//! process by Linux (sizes).

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    Executor, JobSpec, Limits, Problem, Problems, TaskSpec, shown,
    text::{name_fault, task_name_fault, variable_name_fault},
};

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

struct Check<'a> {
    limits: &'a Limits,
    problems: &'a mut Problems,
    /// Of the task in hand; empty for the job.
    path: String,
}

impl Check<'_> {
    /// Adds a problem of `field` of what is in hand.
    fn add(&mut self, field: &str, message: impl Into<String>) {
        let path = match (self.path.as_str(), field) {
            ("", field) => field.to_owned(),
            (path, "") => path.to_owned(),
            (path, field) => format!("{path}.{field}"),
        };
        self.problems.add(|| Problem::new(path, message));
    }

    fn add_fault(&mut self, field: &str, fault: Option<String>) {
        if let Some(message) = fault {
            self.add(field, message);
        }
    }

    fn job(&mut self, job: &JobSpec) {
        let max = self.limits.name_bytes;
        self.add_fault("name", name_fault("job name", &job.name, max));
        self.add_fault("queue", name_fault("queue name", &job.queue, max));
        let (low, high) = (self.limits.priority.start(), self.limits.priority.end());
        if !self.limits.priority.contains(&job.priority) {
            self.add("priority", format!("is {}; it may be {low} to {high}", job.priority));
        }
        let attributes_bytes: usize =
            job.attributes.iter().map(|(key, value)| key.len() + 4 + json_bytes(value)).sum();
        self.size("attributes", attributes_bytes, self.limits.attributes_bytes);
        if job.attributes.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
            self.nul("attributes");
        }
        self.env(&job.env, 0);
        match job.tasks.len() {
            0 => self.add("tasks", "the job has no task; add at least one"),
            n if n > self.limits.tasks => {
                let max = self.limits.tasks;
                self.add("tasks", format!("the job has {n} tasks; it may have {max}"));
            }
            _ => {}
        }
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
        if task.timeout == Some(Duration::ZERO) {
            self.add("timeout", "is zero; give the task some time, or leave it out for no limit");
        }
        self.duration("timeout", task.timeout.unwrap_or_default());
        self.duration("grace", task.grace);
        self.duration("retry.backoff", task.retry.backoff);
        self.duration("retry.max_backoff", task.retry.max_backoff);
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

    fn size(&mut self, field: &str, bytes: usize, max: usize) {
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

    fn nul(&mut self, field: &str) {
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
