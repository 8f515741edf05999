//! The states of jobs and tasks as the tests compare them.

use std::collections::BTreeMap;

use postq_common::state::{JobState, TaskState};
use uuid::Uuid;

use crate::database::Database;

/// A task as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLook {
    /// Its state.
    pub state: TaskState,
    /// Executions that count.
    pub attempts: u32,
    /// Executions that were lost.
    pub crashes: u32,
}

/// A job as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLook {
    /// Its state.
    pub state: JobState,
    /// Why, where that is told.
    pub reason: Option<String>,
    /// Its tasks by name.
    pub tasks: BTreeMap<String, TaskLook>,
}

impl JobLook {
    /// The states of the tasks, in the order of their names: `"a succeeded, b failed"`.
    pub fn states(&self) -> String {
        let words: Vec<String> =
            self.tasks.iter().map(|(name, task)| format!("{name} {}", task.state)).collect();
        words.join(", ")
    }
}

impl Database {
    /// The job as it is.
    pub async fn look(&self, job: Uuid) -> JobLook {
        let found = sqlx::query_as("select state::text, reason from postq.job where id = $1");
        let (state, reason): (String, Option<String>) =
            found.bind(job).fetch_one(&self.pool).await.expect("a job");
        let found = sqlx::query_as(
            "select s.name, t.state::text, t.attempts, t.crashes from postq.task t
             join postq.task_spec s on s.job = t.job and s.n = t.n where t.job = $1",
        );
        let rows: Vec<(String, String, i32, i32)> =
            found.bind(job).fetch_all(&self.pool).await.expect("tasks");
        let tasks = rows.into_iter().map(|(name, state, attempts, crashes)| {
            let look = TaskLook {
                state: state.parse().expect("a state"),
                attempts: attempts.unsigned_abs(),
                crashes: crashes.unsigned_abs(),
            };
            (name, look)
        });
        JobLook { state: state.parse().expect("a state"), reason, tasks: tasks.collect() }
    }

    /// The states of the job's tasks, in the order of their names.
    pub async fn states(&self, job: Uuid) -> String {
        self.look(job).await.states()
    }

    /// The number of the task of that name.
    pub async fn number(&self, job: Uuid, name: &str) -> i32 {
        let found =
            sqlx::query_scalar("select n from postq.task_spec where job = $1 and name = $2");
        found.bind(job).bind(name).fetch_one(&self.pool).await.expect("a task")
    }
}
