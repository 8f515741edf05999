//! `upcoming`: the first tasks with files that wait in some lanes; `conflict_rules`: how they are merged.

use std::collections::HashMap;

use postq_common::{
    ahead::TaskKey,
    id::{AgentId, JobId, LaneId, TaskNumber},
};
use uuid::Uuid;

use super::{Store, StoreError};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpcomingRow {
    /// Where it waits.
    pub lane: LaneId,
    /// Its place there.
    pub seq: i64,
    /// Which.
    pub task: TaskKey,
    /// The agent that finished its last parent.
    pub prefer: Option<AgentId>,
}

impl Store {
    /// Looks at the first `depth` rows of each lane behind its cursor.
    pub async fn upcoming(
        &self,
        cursors: &[(LaneId, i64)],
        depth: usize,
    ) -> Result<Vec<UpcomingRow>, StoreError> {
        let (lanes, after): (Vec<i64>, Vec<i64>) =
            cursors.iter().map(|(lane, after)| (lane.0, *after)).unzip();
        let depth = i32::try_from(depth).unwrap_or(i32::MAX);
        type Row = (i64, i64, Uuid, i32, Option<Uuid>);
        let rows: Vec<Row> = self
            .once("upcoming", |pool| async move {
                sqlx::query_as("/* upcoming */ select * from postq.upcoming($1, $2, $3)")
                    .bind(lanes)
                    .bind(after)
                    .bind(depth)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        let row = |(lane, seq, job, n, prefer): Row| UpcomingRow {
            lane: LaneId(lane),
            seq,
            task: (JobId(job), TaskNumber(n)),
            prefer: prefer.map(AgentId),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// What these jobs say about conflicts, as far as they say anything.
    pub async fn conflict_rules(
        &self,
        jobs: &[JobId],
    ) -> Result<HashMap<JobId, String>, StoreError> {
        let jobs: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
        let rows: Vec<(Uuid, Option<String>)> = self
            .once("conflict_rules", |pool| async move {
                sqlx::query_as(
                    "/* conflict_rules */ select job, coalesce(spec->>'onConflict', spec->>'on_conflict')
                     from postq.job_spec where job = any($1)",
                )
                .bind(jobs)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().filter_map(|(job, rule)| Some((JobId(job), rule?))).collect())
    }
}
