//! What the tasks that one depends on left beside their files.

use postq_common::id::{JobId, TaskNumber};
use serde_json::Value;
use sqlx::{FromRow, types::Json};

use super::{Store, StoreError};

/// How much of the standard output of all dependencies together a task is given, in bytes.
const RESULTS_BYTES: i64 = 8 * 1024 * 1024;
/// How much of that of one, in bytes: what is kept of it.
const RESULT_BYTES: i64 = 64 * 1024;

/// One dependency.
#[derive(Clone, Debug, FromRow)]
pub struct InputRow {
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
    /// What the tasks that `task` depends on, as written, left. Outputs are left out where all of
    /// them are more than `limit` bytes.
    pub async fn inputs(
        &self,
        job: JobId,
        task: TaskNumber,
        limit: i64,
    ) -> Result<Vec<InputRow>, StoreError> {
        self.run("inputs", |pool| async move {
            sqlx::query_as(
                "/* inputs */ with parent as (
                     select u.n, least($4, $5 / cardinality(s.depends))::int as share
                     from postq.task_spec s cross join lateral unnest(s.depends) as u (n)
                     where s.job = $1 and s.n = $2
                 ), sized as (
                     select p.share, d.name, t.state::text as state, a.result, a.results,
                            coalesce(sum(octet_length(a.result::text)) over (), 0)::bigint as total
                     from parent p
                     join postq.task t on t.job = $1 and t.n = p.n
                     join postq.task_spec d on d.job = $1 and d.n = p.n
                     left join postq.attempt a on a.id = t.attempt
                 )
                 select name, state, case when total <= $3 then result end as output, total,
                        substring(results from greatest(octet_length(results) - share + 1, 1)) as results
                 from sized",
            )
            .bind(job.0)
            .bind(task.0)
            .bind(limit)
            .bind(RESULT_BYTES)
            .bind(RESULTS_BYTES)
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
