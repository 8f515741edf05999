//! The executions of a job that have ended, as the database keeps them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::database::Database;

/// One of them.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Execution {
    /// The attempt's id.
    pub attempt: i64,
    /// The task's name.
    pub task: String,
    /// The agent's name.
    pub agent: String,
    /// A word of `postq.outcome`.
    pub outcome: String,
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When its end was recorded.
    pub finished_at: DateTime<Utc>,
    /// Of its command.
    pub exit_code: Option<i32>,
    /// That ended its command.
    pub signal: Option<i32>,
    /// For a person.
    pub reason: String,
}

impl Database {
    /// The executions of a job in the order of their ids.
    pub async fn history(&self, job: Uuid) -> Vec<Execution> {
        let found = sqlx::query_as(
            "select a.id as attempt, s.name as task, coalesce(g.name, '') as agent,
                    a.outcome::text as outcome, a.started_at, a.finished_at, a.exit_code, a.signal,
                    coalesce(a.reason, '') as reason
             from postq.attempt a
             join postq.task_spec s on s.job = a.job and s.n = a.n
             left join postq.agent g on g.id = a.agent
             where a.job = $1 order by a.id",
        );
        found.bind(job).fetch_all(&self.pool).await.expect("a history")
    }

    /// The outcomes of a job's executions in the order they were made: `"a lost, a succeeded"`.
    pub async fn outcomes(&self, job: Uuid) -> String {
        let words = |it: &Execution| format!("{} {}", it.task, it.outcome);
        self.history(job).await.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// The execution of each task that succeeded. Fails where a task has more than one.
pub fn successes(history: &[Execution]) -> BTreeMap<&str, &Execution> {
    let mut found = BTreeMap::new();
    for execution in history.iter().filter(|it| it.outcome == "succeeded") {
        let before = found.insert(execution.task.as_str(), execution);
        assert!(before.is_none(), "{} succeeded twice: {history:#?}", execution.task);
    }
    found
}
