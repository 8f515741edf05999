//! Reads tasks with their latest attempt.

use chrono::{DateTime, Utc};
use postq_common::id::JobId;
use serde_json::Value;
use sqlx::{FromRow, types::Json};

use super::{Effort, Seen, Store, StoreError};

/// A task as it stands, with its current or last attempt.
#[derive(Clone, Debug, FromRow)]
pub struct TaskRow {
    /// Position in the plan.
    pub n: i32,
    /// Its name.
    pub name: String,
    /// One of the task states of the design.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Names of the tasks it depends on, as written.
    pub depends: Vec<String>,
    /// Executions that count.
    pub attempts: i32,
    /// Executions lost with their agent.
    pub crashes: i32,
    /// The job's revision at its last change.
    pub revision: i64,
    /// When it may run.
    pub run_at: Option<DateTime<Utc>>,
    /// First start.
    pub started_at: Option<DateTime<Utc>>,
    /// End.
    pub finished_at: Option<DateTime<Utc>>,
    /// The current or the last execution.
    pub attempt: Option<i64>,
    /// Who executes or executed it.
    pub agent: Option<String>,
    /// None while it is open.
    pub outcome: Option<String>,
    /// Of the command.
    pub exit_code: Option<i32>,
    /// That ended the command.
    pub signal: Option<i32>,
    /// Of the attempt.
    pub attempt_reason: Option<String>,
    /// Times of the attempt.
    pub attempt_started_at: Option<DateTime<Utc>>,
    /// End of the attempt.
    pub attempt_finished_at: Option<DateTime<Utc>>,
    /// The end of standard output; only where asked for.
    pub results: Option<Vec<u8>>,
    /// The end of standard error; only where asked for.
    pub errors: Option<Vec<u8>>,
    /// The JSON document it gave; only where asked for.
    pub output: Option<Json<Value>>,
    /// What the image of its container was.
    pub image: Option<String>,
    /// How long its command ran.
    pub ran_ms: Option<i64>,
    /// What its files took.
    pub effort: Option<Json<Effort>>,
    /// Root of the content it left.
    pub snapshot: Option<Vec<u8>>,
}

macro_rules! select_tasks {
    ($name:literal, $results:literal, $errors:literal, $output:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */ select t.n, s.name, t.state::text,
             case when t.state = 'ready' then coalesce(postq.queue_reason(t.job), l.waiting, t.reason)
                  else t.reason end as reason,
             array(select d.name from unnest(s.depends) with ordinality as u (n, ord)
                   join postq.task_spec d on d.job = t.job and d.n = u.n order by u.ord) as depends,
             t.attempts, t.crashes, t.revision, t.run_at, t.started_at, t.finished_at, t.attempt,
             g.name as agent, a.outcome::text, a.exit_code, a.signal, a.reason as attempt_reason,
             coalesce(a.started_at, o.started_at) as attempt_started_at,
             a.finished_at as attempt_finished_at, ",
            $results, " as results, ", $errors, " as errors, ",
            $output, " as output, a.image, a.ran_ms, a.effort, w.content as snapshot
             from postq.task t
             join postq.task_spec s on s.job = t.job and s.n = t.n
             left join postq.open_attempt o on o.job = t.job and o.n = t.n
             left join postq.attempt a on a.id = t.attempt
             left join postq.agent g on g.id = coalesce(o.agent, a.agent)
             left join postq.snapshot w on w.job = t.job and w.n = t.n
             left join postq.lane l on l.id = t.lane and t.state = 'ready'
             where t.job = $1 ",
            $rest
        )
    };
}

impl Store {
    /// The tasks of a job behind `after`, with their output, in the order of the plan.
    pub async fn tasks(
        &self,
        job: JobId,
        states: &[String],
        after: i32,
        limit: i64,
    ) -> Result<Vec<TaskRow>, StoreError> {
        self.run("tasks", |pool| async move {
            sqlx::query_as(select_tasks!(
                "tasks",
                "a.results",
                "a.errors",
                "a.result",
                "and t.n > $2
                 and (cardinality($3::text[]) = 0 or t.state = any ($3::text[]::postq.task_state[]))
                 order by t.n limit $4"
            ))
            .bind(job.0)
            .bind(after)
            .bind(states)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The tasks that changed after what was seen and those that run, without their output, in the
    /// order of the plan: what a watcher needs.
    pub async fn changed_tasks(
        &self,
        job: JobId,
        seen: Seen,
        after: i32,
        limit: i64,
    ) -> Result<Vec<TaskRow>, StoreError> {
        self.run("changed_tasks", |pool| async move {
            sqlx::query_as(select_tasks!(
                "changed_tasks",
                "null::bytea",
                "null::bytea",
                "null::jsonb",
                "and t.n > $3 and (t.revision > $2 or t.state = 'running'
                     or t.state = 'ready' and t.lane = any (array(
                         select w.id from postq.lane w where w.waiting_turn > $5)))
                 order by t.n limit $4"
            ))
            .bind(job.0)
            .bind(seen.revision)
            .bind(after)
            .bind(limit)
            .bind(seen.waiting_turn)
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
