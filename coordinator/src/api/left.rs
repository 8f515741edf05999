//! What jobs have left, for the workspace service.

use std::{collections::HashMap, sync::Arc};

use postq_common::{id::JobId, tree::Snapshot};
use tonic::Status;
use uuid::Uuid;

use super::workspace_service::{Left, SnapshotSource};
use crate::{graphs::Graphs, store::Store, wire::status};

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
        if self.store.job(id).await.map_err(status::of_store)?.is_none() {
            return Err(Status::not_found(format!("there is no job {id}")));
        }
        let tasks = match task {
            None => self.store.sinks(id).await.map_err(status::of_store)?,
            Some(name) => {
                let number = self.store.task_number(id, name).await.map_err(status::of_store)?;
                vec![
                    number.ok_or_else(|| {
                        Status::not_found(format!("job {id} has no task {name:?}"))
                    })?,
                ]
            }
        };
        let sources = self.store.left_by(id, &tasks).await.map_err(status::of_store)?;
        let own_task = task.is_some();
        if own_task && !sources.iter().any(|(n, _)| tasks.contains(n)) {
            return Err(Status::failed_precondition(format!(
                "task {:?} has left no files: it did not succeed (yet), or has no workspace",
                task.unwrap_or_default()
            )));
        }
        let snapshots: Vec<Snapshot> = sources
            .iter()
            .map(|(_, r)| Snapshot::from_fields(&r.content, &r.provenance, &r.times))
            .collect::<Result<_, _>>()
            .map_err(|_| Status::data_loss("a stored snapshot is damaged"))?;
        let names = self.names(id, &sources).await?;
        Ok(Left {
            snapshots,
            is_ancestor: self.graphs.of(id).await.map_err(status::of_store)?,
            name_of: Arc::new(move |n| names.get(&n).cloned().unwrap_or_else(|| n.to_string())),
        })
    }
}

impl Leavings {
    /// Names are needed for a conflict only, and then of writers, which may be any ancestors.
    async fn names(
        &self,
        job: JobId,
        sources: &crate::store::Sources,
    ) -> Result<HashMap<i32, String>, Status> {
        if sources.len() < 2 {
            return Ok(HashMap::new());
        }
        self.store.task_names(job, None).await.map_err(status::of_store)
    }
}
