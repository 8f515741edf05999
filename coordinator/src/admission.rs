//! The one door for jobs, however they came: planned, their first files found, stored.
//!
//! It knows neither gRPC nor how submissions are found. Invariant: a job that was refused left
//! nothing behind.

use std::{sync::Arc, time::Duration};

use postq_common::{id::JobId, spec::Problem, tree::Digest};
use postq_proto::v1;
use serde_json::json;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};
use tracing::info;

use crate::{
    dispatch::Wakes,
    store::{NewJob, Store, StoreError, Submission},
    wire::plan::{self, Planned},
    workspace::{BlobError, Blobs},
};

/// Jobs planned and stored at a time: a large one takes seconds, memory and a connection.
const AT_ONCE: usize = 4;

/// Jobs with a unique key that are stored at a time: each may wait for a user's transaction that has
/// taken its key, and nobody else is to wait with it.
const KEYED_AT_ONCE: usize = 2;

/// How often a job that waits for room in its queue is offered again.
const KNOCK: Duration = Duration::from_millis(50);

/// How a job is let in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// How long it waits for room in a queue that holds as many as it may.
    pub wait: Duration,
    /// Its queue must have been declared.
    pub require_queue: bool,
}

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

impl AdmissionError {
    /// The same, of the job at that place of a list.
    fn at(self, place: usize) -> Self {
        match self {
            Self::Document(problems) => Self::Document(plan::at(place, problems)),
            other => other,
        }
    }
}

/// Admits jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    store: Store,
    blobs: Blobs,
    wakes: Wakes,
    permits: Arc<Semaphore>,
    keyed: Arc<Semaphore>,
}

impl Admission {
    /// Stores in `store`, finds files in `blobs`, and wakes the dispatcher.
    pub fn new(store: Store, blobs: Blobs, wakes: Wakes) -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let keyed = Arc::new(Semaphore::new(KEYED_AT_ONCE));
        Self { store, blobs, wakes, permits, keyed }
    }

    /// Admits a job that came by gRPC. Its id, and whether it is new: else it is another one that holds
    /// its unique key, or was there already.
    pub async fn admit(
        &self,
        id: JobId,
        document: v1::JobSpec,
        traceparent: Option<String>,
        entry: Entry,
    ) -> Result<(JobId, bool), AdmissionError> {
        let until = Instant::now() + entry.wait;
        let plan = move || {
            plan::plan(id, &document, traceparent).map(|mut planned| {
                if entry.require_queue {
                    planned.new.job["require_queue"] = json!(true);
                }
                planned
            })
        };
        self.work(plan, until).await
    }

    /// Admits a job that came by SQL, unless somebody else has, or it was cancelled meanwhile.
    pub async fn admit_submission(&self, submission: Submission) -> Result<(), AdmissionError> {
        self.work(move || plan::plan_submission(&submission), Instant::now()).await.map(drop)
    }

    /// Admits many jobs that came by gRPC, all or none; of each its id and whether it is new.
    pub async fn admit_many(
        &self,
        jobs: Vec<(JobId, v1::JobSpec)>,
        traceparent: Option<String>,
    ) -> Result<Vec<(JobId, bool)>, AdmissionError> {
        let permit = self.permits.acquire().await.map_err(|_| AdmissionError::Panicked)?;
        let plan = move || plan::plan_many(&jobs, traceparent.as_deref());
        let planned = tokio::task::spawn_blocking(plan).await;
        let planned =
            planned.map_err(|_| AdmissionError::Panicked)?.map_err(AdmissionError::Document)?;
        let mut new = Vec::with_capacity(planned.len());
        for (place, planned) in planned.into_iter().enumerate() {
            let planned = self.with_input(planned).await.map_err(|error| error.at(place))?;
            new.push(planned.new);
        }
        let is_keyed = new.iter().any(|new| !new.job["unique"].is_null());
        let _permit = if is_keyed { self.keyed_permit(permit).await? } else { permit };
        let admitted = self.store.admit_many(&new).await?;
        self.wakes.readied(&admitted.ready);
        info!(jobs = admitted.jobs.len(), "jobs submitted");
        Ok(admitted.jobs)
    }

    /// Plans a job and finds its first files, for whoever stores it together with something else.
    pub async fn prepare(
        &self,
        id: JobId,
        document: v1::JobSpec,
    ) -> Result<NewJob, AdmissionError> {
        let _permit = self.permits.acquire().await.map_err(|_| AdmissionError::Panicked)?;
        self.plan(move || plan::plan(id, &document, None)).await.map(|planned| planned.new)
    }

    async fn plan(
        &self,
        plan: impl FnOnce() -> Result<Planned, Vec<Problem>> + Send + 'static,
    ) -> Result<Planned, AdmissionError> {
        // Planning a large graph takes a while.
        let planned = tokio::task::spawn_blocking(plan).await;
        let planned =
            planned.map_err(|_| AdmissionError::Panicked)?.map_err(AdmissionError::Document)?;
        self.with_input(planned).await
    }

    /// With the roots of the files that it starts from.
    async fn with_input(&self, mut planned: Planned) -> Result<Planned, AdmissionError> {
        if let Some(digest) = planned.input {
            planned.new.job["input"] = json!(self.input(digest).await?);
        }
        Ok(planned)
    }

    async fn work(
        &self,
        plan: impl FnOnce() -> Result<Planned, Vec<Problem>> + Send + 'static,
        until: Instant,
    ) -> Result<(JobId, bool), AdmissionError> {
        let permit = self.permits.acquire().await.map_err(|_| AdmissionError::Panicked)?;
        let planned = self.plan(plan).await?;
        let is_keyed = planned.new.submission.is_none() && !planned.new.job["unique"].is_null();
        let mut permit = if is_keyed { self.keyed_permit(permit).await? } else { permit };
        let admitted = loop {
            match self.store.admit(&planned.new).await {
                Err(error) if error.is_full() && Instant::now() < until => {}
                answer => break answer?,
            }
            // Nobody waits with it.
            drop(permit);
            tokio::time::sleep_until(until.min(Instant::now() + KNOCK)).await;
            let permits = if is_keyed { &self.keyed } else { &self.permits };
            permit = permits.acquire().await.map_err(|_| AdmissionError::Panicked)?;
        };
        drop(permit);
        self.wakes.readied(&admitted.ready);
        if admitted.created {
            let job = &planned.new.job;
            info!(job.id = %job["id"], tasks = %job["task_count"], "job submitted");
        }
        Ok((admitted.id, admitted.created))
    }

    /// Trades a permit for one of those for jobs with a unique key.
    async fn keyed_permit(
        &self,
        permit: SemaphorePermit<'_>,
    ) -> Result<SemaphorePermit<'_>, AdmissionError> {
        drop(permit);
        self.keyed.acquire().await.map_err(|_| AdmissionError::Panicked)
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
