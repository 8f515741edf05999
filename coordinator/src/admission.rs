//! The one door for jobs, however they came: planned, their first files found, stored.
//!
//! It knows neither gRPC nor how submissions are found. Invariant: a job that was refused left
//! nothing behind.

use std::sync::Arc;

use postq_common::{id::JobId, spec::Problem, tree::Digest};
use postq_proto::v1;
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::info;

use crate::{
    dispatch::Wakes,
    store::{Store, StoreError, Submission},
    wire::plan::{self, Planned},
    workspace::{BlobError, Blobs},
};

/// Jobs planned and stored at a time: a large one takes seconds, memory and a connection.
const AT_ONCE: usize = 4;

/// Why a job was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The document is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Document(Vec<Problem>),
    /// The blob store does not answer.
    #[error("the files the job starts from cannot be read")]
    Blobs(#[from] BlobError),
    /// The database does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Planning it panicked.
    #[error("planning this job made the coordinator fail")]
    Panicked,
}

/// Admits jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    store: Store,
    blobs: Blobs,
    wakes: Wakes,
    permits: Arc<Semaphore>,
}

impl Admission {
    /// Stores in `store`, finds files in `blobs`, and wakes the dispatcher.
    pub fn new(store: Store, blobs: Blobs, wakes: Wakes) -> Self {
        Self { store, blobs, wakes, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Admits a job that came by gRPC. False: the same job was there already.
    pub async fn admit(
        &self,
        id: JobId,
        document: v1::JobSpec,
        traceparent: Option<String>,
    ) -> Result<bool, AdmissionError> {
        self.work(move || plan::plan(id, &document, traceparent)).await
    }

    /// Admits a job that came by SQL. False: somebody else has, or it was cancelled meanwhile.
    pub async fn admit_submission(&self, submission: Submission) -> Result<bool, AdmissionError> {
        self.work(move || plan::plan_submission(&submission)).await
    }

    async fn work(
        &self,
        plan: impl FnOnce() -> Result<Planned, Vec<Problem>> + Send + 'static,
    ) -> Result<bool, AdmissionError> {
        let _permit = self.permits.acquire().await.map_err(|_| AdmissionError::Panicked)?;
        // Planning a large graph takes a while.
        let planned = tokio::task::spawn_blocking(plan).await;
        let mut planned =
            planned.map_err(|_| AdmissionError::Panicked)?.map_err(AdmissionError::Document)?;
        if let Some(digest) = planned.input {
            planned.new.job["input"] = json!(self.input(digest).await?);
        }
        let admitted = self.store.admit(&planned.new).await?;
        self.wakes.readied(&admitted.ready);
        if admitted.created {
            let job = &planned.new.job;
            info!(job.id = %job["id"], tasks = %job["task_count"], "job submitted");
        }
        Ok(admitted.created)
    }

    /// The roots of the snapshot that a job starts from, in hexadecimal.
    async fn input(&self, digest: Digest) -> Result<[String; 3], AdmissionError> {
        match self.blobs.snapshot(digest).await {
            Ok(snapshot) => Ok(snapshot.to_fields().map(|root| plan::hex(&root))),
            Err(error @ BlobError::Store { .. }) => Err(error.into()),
            Err(_) => Err(AdmissionError::Document(vec![Problem::new(
                "input",
                format!("there is no snapshot {digest} here; upload the files first"),
            )])),
        }
    }
}
