//! What an agent needs to know of the attempts that were claimed for it.

use std::{collections::HashMap, sync::Arc};

use postq_common::{
    id::{AttemptId, JobId, TaskNumber},
    spec::Needs,
};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Roots, Store, StoreError};

/// One claimed attempt with what was written about its task and job.
#[derive(Clone, Debug, FromRow)]
pub struct AssignmentRow {
    /// The attempt.
    pub attempt: i64,
    /// Its job.
    pub job: Uuid,
    /// Its task.
    pub n: i32,
    /// The task's name.
    pub name: String,
    /// The job's name.
    pub job_name: String,
    /// The job's queue.
    pub queue: String,
    /// Executions before this one that count.
    pub attempts: i32,
    /// `shell`, `docker` or `handler`.
    pub executor: String,
    /// It must not overlap another execution.
    pub is_exclusive: bool,
    /// Whether it sees files.
    pub has_workspace: bool,
    /// How many others it depends on, as written.
    pub depends: i32,
    /// The same for tasks that depend on the same ones.
    pub depends_hash: i64,
    /// What it asked of its agent.
    pub needs: Json<Needs>,
    /// The `TaskSpec`.
    pub spec: Json<Value>,
    /// The `JobSpec` without its tasks, shared by those of one job.
    #[sqlx(skip)]
    pub job_spec: Arc<Value>,
    /// What the job was submitted with.
    pub traceparent: Option<String>,
}

impl AssignmentRow {
    /// The attempt.
    pub fn id(&self) -> AttemptId {
        AttemptId(self.attempt)
    }

    /// Its task.
    pub fn task(&self) -> (JobId, TaskNumber) {
        (JobId(self.job), TaskNumber(self.n))
    }
}

#[derive(FromRow)]
struct Written {
    #[sqlx(flatten)]
    row: AssignmentRow,
    job_spec: Option<Json<Value>>,
}

fn with_job_specs(rows: Vec<Written>) -> Vec<AssignmentRow> {
    let mut specs: HashMap<Uuid, Arc<Value>> = HashMap::new();
    let mut assignments = Vec::with_capacity(rows.len());
    for Written { row, job_spec } in rows {
        if let Some(Json(spec)) = job_spec {
            specs.insert(row.job, Arc::new(spec));
        }
        assignments.push(row);
    }
    for row in &mut assignments {
        row.job_spec = specs.get(&row.job).cloned().unwrap_or_default();
    }
    assignments
}

/// The snapshots a task's files come from, each with the task that left it (-1: the job's input),
/// in the order of `depends`.
pub type Sources = Vec<(i32, Roots)>;

impl Store {
    /// What was written about these attempts' tasks.
    pub async fn assignments(
        &self,
        tasks: &[(AttemptId, JobId, TaskNumber)],
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        let attempts: Vec<i64> = tasks.iter().map(|(attempt, ..)| attempt.0).collect();
        let jobs: Vec<Uuid> = tasks.iter().map(|(_, job, _)| job.0).collect();
        let numbers: Vec<i32> = tasks.iter().map(|(.., n)| n.0).collect();
        let (attempts, jobs, numbers) = (&attempts, &jobs, &numbers);
        let rows: Vec<Written> = self
            .run("assignments", |pool| async move {
                sqlx::query_as(
                    // A job may have megabytes of data: told with its first task only.
                    "/* assignments */ select x.attempt, t.job, t.n, s.name, js.name as job_name, j.queue,
                     t.attempts, l.executor::text, l.needs, s.has_workspace,
                     s.at_most_once or s.concurrency_key is not null as is_exclusive,
                     cardinality(s.depends) as depends, hash_array_extended(s.depends, 0) as depends_hash,
                     s.spec, case when x.is_first then js.spec end as job_spec, js.traceparent
                     from (select x.*, row_number() over (partition by x.job) = 1 as is_first
                           from unnest($1::bigint[], $2::uuid[], $3::int[]) as x (attempt, job, n)) x
                     join postq.task t on t.job = x.job and t.n = x.n
                     join postq.task_spec s on s.job = x.job and s.n = x.n
                     join postq.lane l on l.id = coalesce(
                         (select f.into_lane from postq.lane_fold f where f.lane = t.lane), t.lane)
                     join postq.job j on j.id = x.job
                     join postq.job_spec js on js.job = x.job",
                )
                .bind(attempts)
                .bind(jobs)
                .bind(numbers)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(with_job_specs(rows))
    }

    /// Where each task's files come from: its nearest ancestors that left a snapshot, found through
    /// those that left none (no workspace, or no success), and the job's input where a path reaches
    /// the beginning. Reduced parents tell the same files as all dependencies, but where the last
    /// dependency is preferred, each one's own side counts.
    pub async fn sources(
        &self,
        tasks: &[(JobId, TaskNumber)],
    ) -> Result<HashMap<(JobId, TaskNumber), Sources>, StoreError> {
        let jobs: Vec<Uuid> = tasks.iter().map(|(job, _)| job.0).collect();
        let numbers: Vec<i32> = tasks.iter().map(|(_, n)| n.0).collect();
        let (jobs, numbers) = (&jobs, &numbers);
        type Row = (Uuid, i32, i32, Vec<u8>, Vec<u8>, Vec<u8>);
        let rows: Vec<Row> = self
            .run("sources", |pool| async move {
                sqlx::query_as(
                    "/* sources */ with recursive source as (
                         select x.job, x.n, p.parent, p.place
                         from unnest($1::uuid[], $2::int[]) as x (job, n)
                         join postq.task_spec s on s.job = x.job and s.n = x.n
                         join postq.job_spec j on j.job = x.job
                         cross join lateral (
                             select u.parent, array_position(s.depends, u.parent) as place
                             from unnest(case when 'PREFER_LAST_DEPENDENCY' in
                                 (j.spec ->> 'on_conflict', j.spec ->> 'onConflict')
                                 then s.depends else s.parents end) as u (parent)
                             union all
                             select -1, 0 where cardinality(s.parents) = 0) p
                         union
                         select f.job, f.n, p.parent, f.place
                         from source f
                         join postq.task_spec s on s.job = f.job and s.n = f.parent
                         cross join lateral (
                             select u.parent from unnest(s.parents) as u (parent)
                             union all
                             select -1 where cardinality(s.parents) = 0) p
                         where not exists (
                             select from postq.snapshot w where w.job = f.job and w.n = f.parent)
                     )
                     select f.job, f.n, f.parent, w.content, w.provenance, w.times
                     from source f join postq.snapshot w on w.job = f.job and w.n = f.parent
                     order by f.job, f.n, f.place, f.parent",
                )
                .bind(jobs)
                .bind(numbers)
                .fetch_all(&pool)
                .await
            })
            .await?;
        let mut sources: HashMap<_, Sources> = HashMap::new();
        for (job, n, parent, content, provenance, times) in rows {
            let of = sources.entry((JobId(job), TaskNumber(n))).or_default();
            if of.iter().all(|(known, _)| *known != parent) {
                of.push((parent, Roots { content, provenance, times }));
            }
        }
        Ok(sources)
    }

    /// The snapshots that the given tasks of a job leave to whoever comes after them: their own, or
    /// where they left none, what they would have started from.
    pub async fn left_by(&self, job: JobId, tasks: &[i32]) -> Result<Sources, StoreError> {
        type Row = (i32, Vec<u8>, Vec<u8>, Vec<u8>);
        let own: Vec<Row> = self
            .run("left_by", |pool| async move {
                sqlx::query_as(
                    "/* left_by */ select n, content, provenance, times from postq.snapshot
                     where job = $1 and n = any ($2)",
                )
                .bind(job.0)
                .bind(tasks)
                .fetch_all(&pool)
                .await
            })
            .await?;
        let mut left: HashMap<i32, Sources> = own
            .into_iter()
            .map(|(n, content, provenance, times)| {
                (n, vec![(n, Roots { content, provenance, times })])
            })
            .collect();
        let bare: Vec<_> =
            tasks.iter().filter(|n| !left.contains_key(n)).map(|n| (job, TaskNumber(*n))).collect();
        for ((_, n), sources) in self.sources(&bare).await? {
            left.insert(n.0, sources);
        }
        let mut all: Sources = Vec::new();
        for source in tasks.iter().filter_map(|n| left.remove(n)).flatten() {
            if all.iter().all(|(known, _)| *known != source.0) {
                all.push(source);
            }
        }
        Ok(all)
    }

    /// The edges of a job after its reduction: the parents of each task, by number. For deciding
    /// which task follows which.
    pub async fn parents(&self, job: JobId) -> Result<Vec<Vec<i32>>, StoreError> {
        let rows: Vec<(i32, Vec<i32>)> = self
            .run("parents", |pool| async move {
                sqlx::query_as(
                    "/* parents */ select n, parents from postq.task_spec where job = $1 order by n",
                )
                .bind(job.0)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(|(_, parents)| parents).collect())
    }

    /// The names of tasks by their numbers; of all tasks where none are given.
    pub async fn task_names(
        &self,
        job: JobId,
        tasks: Option<&[i32]>,
    ) -> Result<HashMap<i32, String>, StoreError> {
        let rows: Vec<(i32, String)> = self
            .run("task_names", |pool| async move {
                sqlx::query_as(
                    "/* task_names */ select n, name from postq.task_spec where job = $1 and ($2::int[] is null or n = any ($2))",
                )
                .bind(job.0)
                .bind(tasks)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().collect())
    }
}
