//! Jobs by their edges, planned and admitted as a coordinator would.

use std::time::Duration;

use postq_common::{
    dag::{Plan, plan},
    spec::{JobSpec, Limits, MaxAttempts, RunIf, TaskSpec, WorkspaceUse},
};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;

/// A job in the making.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// As it will be planned.
    pub spec: JobSpec,
}

/// A task of it in the making.
#[derive(Clone, Debug)]
pub struct Task(TaskSpec);

impl Task {
    /// A shell task that waits for these.
    pub fn after<'a>(depends: impl IntoIterator<Item = &'a str>) -> Self {
        let depends = depends.into_iter().map(str::to_owned).collect();
        Self(TaskSpec { command: "true".to_owned(), depends, ..TaskSpec::default() })
    }

    /// With this many attempts, a millisecond apart; -1 is unlimited.
    #[must_use]
    pub fn attempts(mut self, max: i32) -> Self {
        self.0.retry.max_attempts = MaxAttempts::try_from(max).expect("a number of attempts");
        self.0.retry.backoff = Duration::from_millis(1);
        self
    }

    /// Wanting this of its parents.
    #[must_use]
    pub fn run_if(mut self, run_if: RunIf) -> Self {
        self.0.run_if = run_if;
        self
    }
}

impl Graph {
    /// Tasks by name, each with the names it waits for.
    pub fn of(tasks: &[(&str, &[&str])]) -> Self {
        let mut graph = Self::default();
        for (name, depends) in tasks {
            graph = graph.with(name, Task::after(depends.iter().copied()));
        }
        graph
    }

    /// With one more task.
    #[must_use]
    pub fn with(mut self, name: &str, task: Task) -> Self {
        self.spec.tasks.insert(name.to_owned(), task.0);
        self
    }

    /// In that queue.
    #[must_use]
    pub fn queue(mut self, queue: &str) -> Self {
        self.spec.queue = queue.to_owned();
        self
    }

    /// Its plan.
    pub fn plan(&self) -> Plan {
        plan(self.spec.clone(), &Limits::default()).expect("a valid job")
    }

    /// Plans and admits it.
    pub async fn admit(&self, database: &Database) -> Uuid {
        let id = database.value("select postq.new_id()").await;
        assert_eq!(self.admit_as(database, id, None).await["created"], true);
        id
    }

    /// Plans and admits it under that id, as the submission of that number if there is one.
    pub async fn admit_as(&self, database: &Database, id: Uuid, submission: Option<i64>) -> Value {
        let plan = self.plan();
        let admit = sqlx::query_scalar("select postq.admit($1, $2, $3, $4)")
            .bind(Json(job(&plan, id)))
            .bind(Json(tasks(&plan)))
            .bind(Json(gates(&plan)))
            .bind(submission);
        let Json(answer) = admit.fetch_one(&database.pool).await.expect("admitted");
        answer
    }
}

fn job(plan: &Plan, id: Uuid) -> Value {
    json!({
        "id": id, "queue": plan.queue(), "priority": plan.priority(), "name": plan.name(),
        "task_count": plan.tasks().len(), "spec": {}, "attributes": plan.attributes(),
        "digest": "00", "traceparent": null,
    })
}

fn tasks(plan: &Plan) -> Value {
    let task = |task: &postq_common::dag::PlannedTask| {
        let spec = task.spec();
        json!({
            "n": task.number(), "name": task.name(), "gate": task.gate(),
            "executor": task.executor().as_str(), "handler": spec.handler,
            "run_if": spec.run_if.as_str(), "max_attempts": spec.retry.max_attempts.to_i32(),
            "crash_limit": 5, "backoff_ms": millis(spec.retry.backoff),
            "max_backoff_ms": millis(spec.retry.max_backoff), "depends": task.depends(),
            "parents": task.parents(),
            "has_workspace": task.workspace_use() == WorkspaceUse::Files, "spec": {},
        })
    };
    plan.tasks().iter().map(task).collect()
}

fn gates(plan: &Plan) -> Value {
    let gate = |gate: &postq_common::dag::Gate| {
        json!({
            "g": gate.number(), "first": gate.first(), "last": gate.last(),
            "parents": gate.parents(),
        })
    };
    plan.gates().iter().map(gate).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a short duration")
}
