//! What the tasks that others depend on left beside their files.

use std::collections::HashMap;

use postq_common::id::{JobId, TaskNumber};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// How much of the standard output of all dependencies together a task is given, in bytes.
const RESULTS_BYTES: i64 = 8 * 1024 * 1024;
/// How much of that of one, in bytes: what is kept of it.
const RESULT_BYTES: i64 = 64 * 1024;

/// One dependency of one task.
#[derive(Clone, Debug, FromRow)]
pub struct InputRow {
    job: Uuid,
    task: i32,
    /// Its name.
    pub name: String,
    /// One of the task states of the design.
    pub state: String,
    /// The JSON document it gave.
    pub output: Option<Json<Value>>,
    /// The end of its standard output.
    pub results: Option<Vec<u8>>,
    /// The size of the outputs of all of them, in bytes.
    pub total: i64,
}

impl Store {
    /// What the tasks that each of `tasks` depends on, as written, left. Outputs are left out where
    /// those of one task are more than `limit` bytes.
    pub async fn inputs(
        &self,
        tasks: &[(JobId, TaskNumber)],
        limit: i64,
    ) -> Result<HashMap<(JobId, TaskNumber), Vec<InputRow>>, StoreError> {
        let jobs: Vec<Uuid> = tasks.iter().map(|(job, _)| job.0).collect();
        let numbers: Vec<i32> = tasks.iter().map(|(_, n)| n.0).collect();
        let (jobs, numbers) = (&jobs, &numbers);
        let rows: Vec<InputRow> = self
            .run("inputs", |pool| async move {
                sqlx::query_as(
                    "/* inputs */ with parent as (
                         select x.job, x.n as task, u.n, least($4, $5 / cardinality(s.depends))::int as share
                         from unnest($1::uuid[], $2::int[]) as x (job, n)
                         join postq.task_spec s on s.job = x.job and s.n = x.n
                         cross join lateral unnest(s.depends) as u (n)
                     ), sized as (
                         select p.job, p.task, p.share, d.name, t.state::text as state, a.result, a.results,
                                coalesce(sum(octet_length(a.result::text)) over (partition by p.job, p.task), 0)::bigint
                                    as total
                         from parent p
                         join postq.task t on t.job = p.job and t.n = p.n
                         join postq.task_spec d on d.job = p.job and d.n = p.n
                         left join postq.attempt a on a.id = t.attempt
                     )
                     select job, task, name, state, case when total <= $3 then result end as output, total,
                            substring(results from greatest(octet_length(results) - share + 1, 1)) as results
                     from sized",
                )
                .bind(jobs)
                .bind(numbers)
                .bind(limit)
                .bind(RESULT_BYTES)
                .bind(RESULTS_BYTES)
                .fetch_all(&pool)
                .await
            })
            .await?;
        let mut inputs: HashMap<_, Vec<InputRow>> = HashMap::new();
        for row in rows {
            inputs.entry((JobId(row.job), TaskNumber(row.task))).or_default().push(row);
        }
        Ok(inputs)
    }
}
