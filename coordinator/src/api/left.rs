//! What jobs have left, for the workspace service.

use std::{collections::HashMap, sync::Arc};

use postq_common::{
    id::{AttemptId, JobId, TaskNumber},
    tree::Snapshot,
};
use tonic::Status;
use uuid::Uuid;

use super::workspace_service::{Input, Left, SnapshotSource};
use crate::{
    graphs::Graphs,
    store::{ArtifactRow, Sources, Store},
    wire::{convert, status},
};

/// Reads it from the database.
#[derive(Clone)]
pub struct Leavings {
    /// The database.
    pub store: Store,
    /// The jobs' graphs.
    pub graphs: Graphs,
}

#[tonic::async_trait]
impl SnapshotSource for Leavings {
    async fn left_by(&self, job: Uuid, task: Option<&str>) -> Result<Left, Status> {
        let id = JobId(job);
        if task.is_none() && !self.is_known(id).await? {
            return self.left_for_good(id).await;
        }
        self.expect(id).await?;
        let tasks = match task {
            None => self.store.sinks(id).await.map_err(status::of_store)?,
            Some(name) => vec![self.number(id, name).await?],
        };
        let sources = self.store.left_by(id, &tasks).await.map_err(status::of_store)?;
        let own_task = task.is_some();
        if own_task && !sources.iter().any(|(n, _)| tasks.contains(n)) {
            return Err(Status::failed_precondition(format!(
                "task {:?} has left no files: it did not succeed (yet), has no workspace, or its job \
                 has succeeded and keeps only its last files",
                task.unwrap_or_default()
            )));
        }
        self.left(id, &sources).await
    }

    async fn artifacts_of(&self, job: Uuid) -> Result<Snapshot, Status> {
        let job = JobId(job);
        let row = self.store.artifacts_of(job).await.map_err(status::of_store)?;
        match row {
            Some(row) => snapshot_of(row),
            None if self.is_known(job).await? => Err(Status::failed_precondition(format!(
                "job {job} has no artifacts: it names none, left no files, has not ended, or ended \
                 just now; they are kept some minutes later"
            ))),
            None => Err(Status::not_found(format!("there is no job {job}"))),
        }
    }

    async fn input_of_job(&self, job: Uuid) -> Result<Snapshot, Status> {
        let id = JobId(job);
        self.expect(id).await?;
        let sources = self.store.left_by(id, &[-1]).await.map_err(status::of_store)?;
        Ok(self.left(id, &sources).await?.snapshots.first().copied().unwrap_or_default())
    }

    async fn input_of_task(&self, job: Uuid, task: &str) -> Result<Input, Status> {
        let id = JobId(job);
        self.expect(id).await?;
        self.input(0, id, self.number(id, task).await?).await
    }

    async fn input_of_attempt(&self, attempt: i64) -> Result<Input, Status> {
        let found = self.store.task_of_attempt(AttemptId(attempt)).await;
        let found = found.map_err(status::of_store)?;
        let gone = || Status::not_found(format!("attempt {attempt} is not running"));
        let (job, task) = found.ok_or_else(gone)?;
        self.input(attempt, job, task.0).await
    }
}

impl Leavings {
    /// What task `n` starts from, and what its agent is told.
    async fn input(&self, attempt: i64, job: JobId, n: i32) -> Result<Input, Status> {
        let task = TaskNumber(n);
        let rows = self.store.assignments(&[(AttemptId(attempt), job, task)]).await;
        let row = rows.map_err(status::of_store)?.into_iter().next();
        let row = row.ok_or_else(|| Status::not_found(format!("there is no job {job}")))?;
        let sources = match row.has_workspace {
            true => self.store.sources(&[(job, task)]).await.map_err(status::of_store)?,
            false => HashMap::new(),
        };
        let sources = sources.into_values().next().unwrap_or_default();
        let assignment = convert::assignment(&row, None, &[])
            .map_err(|_| Status::data_loss("the stored task cannot be read"))?;
        Ok(Input {
            of: (job.0, n),
            left: self.left(job, &sources).await?,
            on_conflict: convert::on_conflict(&row.job_spec),
            assignment,
        })
    }

    async fn left(&self, job: JobId, sources: &Sources) -> Result<Left, Status> {
        let snapshots: Vec<Snapshot> = sources
            .iter()
            .map(|(_, r)| Snapshot::from_fields(&r.content, &r.provenance, &r.times))
            .collect::<Result<_, _>>()
            .map_err(|_| Status::data_loss("a stored snapshot is damaged"))?;
        let names = self.names(job, sources).await?;
        Ok(Left {
            snapshots,
            is_ancestor: self.graphs.of(job).await.map_err(status::of_store)?,
            name_of: Arc::new(move |n| names.get(&n).cloned().unwrap_or_else(|| n.to_string())),
        })
    }

    async fn number(&self, job: JobId, name: &str) -> Result<i32, Status> {
        let number = self.store.task_number(job, name).await.map_err(status::of_store)?;
        number.ok_or_else(|| Status::not_found(format!("job {job} has no task {name:?}")))
    }

    async fn expect(&self, job: JobId) -> Result<(), Status> {
        match self.is_known(job).await? {
            true => Ok(()),
            false => Err(Status::not_found(format!("there is no job {job}"))),
        }
    }

    async fn is_known(&self, job: JobId) -> Result<bool, Status> {
        Ok(self.store.job(job).await.map_err(status::of_store)?.is_some())
    }

    /// What stays of a job that is forgotten.
    async fn left_for_good(&self, job: JobId) -> Result<Left, Status> {
        let snapshot = self.artifacts_of(job.0).await?;
        Ok(Left {
            snapshots: vec![snapshot],
            is_ancestor: Arc::new(|_, _| false),
            name_of: Arc::new(|n| n.to_string()),
        })
    }

    /// Names are needed for a conflict only, and then of writers, which may be any ancestors.
    async fn names(&self, job: JobId, sources: &Sources) -> Result<HashMap<i32, String>, Status> {
        if sources.len() < 2 {
            return Ok(HashMap::new());
        }
        self.store.task_names(job, None).await.map_err(status::of_store)
    }
}

fn snapshot_of(row: ArtifactRow) -> Result<Snapshot, Status> {
    match (row.roots(), row.reason) {
        (Some(roots), _) => Snapshot::from_fields(&roots.content, &roots.provenance, &roots.times)
            .map_err(|_| Status::data_loss("a stored snapshot is damaged")),
        (None, reason) => Err(Status::failed_precondition(format!(
            "the artifacts of job {} could not be kept: {}",
            row.job,
            reason.unwrap_or_default()
        ))),
    }
}
