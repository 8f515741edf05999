//! `JobService`: the wire side of submitting, reading, watching and cancelling jobs.

use std::{sync::Arc, time::Duration};

use backon::{ConstantBuilder, Retryable};
use futures::stream::BoxStream;
use postq_common::{
    id::JobId,
    state::{JobState, TaskState},
};
use postq_proto::{
    convert::duration,
    v1::{self, job_service_server::JobService},
};
use postq_runtime::{Shutdown, telemetry};
use prost::Message;
use tonic::{Request, Response, Status};
use tracing::{Instrument, Span, field, info, info_span, instrument};
use uuid::Uuid;

use super::{
    bulk, logs, lost,
    page::{ANSWER_BYTES, Page},
    watch,
    watch_jobs::WatchJobs,
};
use crate::{
    admission::{Admission, Entry},
    metrics::Metrics,
    store::{JobFilter, JobRow, Store},
    watch::Looks,
    wire::{convert, status},
    workspace::Blobs,
};

/// Within the time for one call.
const LONGEST_WAIT: Duration = Duration::from_secs(100);
/// How often it is looked whether a cancel was applied.
const APPLIED_EVERY: Duration = Duration::from_millis(20);
/// Tasks read from the database at a time.
const CHUNK: i64 = 100;

/// The service.
#[derive(Clone)]
pub struct JobApi {
    /// The database.
    pub store: Store,
    /// The files of jobs.
    pub blobs: Blobs,
    /// The door.
    pub admission: Admission,
    /// Those who watch.
    pub looks: Arc<Looks>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where streams run.
    pub shutdown: Shutdown,
}

impl JobApi {
    async fn submit(
        &self,
        request: v1::SubmitJobRequest,
        traceparent: Option<String>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        let id = new_id("id", &request.id)?;
        Span::current().record("job.id", field::display(id));
        let document = request
            .job
            .ok_or_else(|| status::bad_field("job", "missing; a job is what there is to submit"))?;
        let wait = wait_of(request.wait.as_ref())?;
        let entry = Entry { wait, require_queue: request.require_queue };
        let admitted = self.admission.admit(id, document, traceparent, entry).await;
        let (id, created) = admitted.map_err(status::of_admission)?;
        if created {
            self.metrics.submitted();
        }
        Ok(Response::new(v1::SubmitJobResponse { id: id.to_string(), created }))
    }

    async fn cancel(
        &self,
        request: &v1::CancelJobRequest,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let id = convert::job_id("id", &request.id)?;
        self.row(id).await?;
        let reason = Some(request.reason.as_str()).filter(|reason| !reason.is_empty());
        self.store.cancel(id, reason).await.map_err(status::of_store)?;
        // What has not started ends now; what runs is told by its coordinator, hinted by this.
        self.store.apply_inbox(0, 1000).await.map_err(status::of_store)?;
        self.looks.look_now(id);
        info!("cancel requested");
        let job = convert::job(&self.row_once_cancelled(id).await?);
        Ok(Response::new(v1::CancelJobResponse { job: Some(job) }))
    }

    /// The job once the request has been applied, which another may be doing at the moment; or as it
    /// is, where a user's open transaction has it at hand.
    async fn row_once_cancelled(&self, id: JobId) -> Result<JobRow, Status> {
        let look = || async {
            let row = self.row(id).await;
            let is_applied =
                |row: &JobRow| row.cancel_requested_at.is_some() || row.finished_at.is_some();
            if row.as_ref().is_ok_and(|row| !is_applied(row)) { Err(row) } else { Ok(row) }
        };
        let pauses = ConstantBuilder::default().with_delay(APPLIED_EVERY).with_max_times(25);
        look.retry(pauses).await.unwrap_or_else(|row| row)
    }

    async fn row(&self, id: JobId) -> Result<JobRow, Status> {
        let row = self.store.job(id).await.map_err(status::of_store)?;
        row.ok_or_else(|| Status::not_found(format!("there is no job {id}")))
    }

    /// Tasks behind `after` until a page is full; the number of the last one where more follow.
    async fn task_page(
        &self,
        job: JobId,
        states: &[String],
        mut after: i32,
        page_size: i64,
    ) -> Result<(Vec<v1::Task>, Option<i32>), Status> {
        let mut tasks = Vec::new();
        let mut bytes = 0;
        loop {
            let wanted = (page_size - tasks.len() as i64 + 1).min(CHUNK);
            let rows =
                self.store.tasks(job, states, after, wanted).await.map_err(status::of_store)?;
            let is_last = (rows.len() as i64) < wanted;
            for row in rows {
                let task = convert::task(row);
                bytes += task.encoded_len();
                let is_full = tasks.len() as i64 >= page_size || bytes > ANSWER_BYTES;
                if is_full && !tasks.is_empty() {
                    return Ok((tasks, Some(after)));
                }
                after = task.number;
                tasks.push(task);
            }
            if is_last {
                return Ok((tasks, None));
            }
        }
    }
}

/// How long a submit waits for room in its queue.
fn wait_of(wait: Option<&pbjson_types::Duration>) -> Result<Duration, Status> {
    let wait = wait.map(duration).transpose();
    let wait = wait.map_err(|error| status::bad_field("wait", error.to_string()))?;
    let wait = wait.unwrap_or_default();
    match wait <= LONGEST_WAIT {
        true => Ok(wait),
        false => Err(status::bad_field(
            "wait",
            format!("is {wait:?}; it may be {LONGEST_WAIT:?}: submit again under the same id"),
        )),
    }
}

/// The id of a new job: the client's, or a new one.
pub(super) fn new_id(field: &str, given: &str) -> Result<JobId, Status> {
    if given.is_empty() {
        return Ok(JobId(Uuid::now_v7()));
    }
    let id = convert::job_id(field, given)?;
    match id.0.get_version_num() {
        7 => Ok(id),
        other => Err(status::bad_field(
            field,
            format!(
                "{id} is a UUID of version {other}; a job's id must be of version 7, so that ids sort by time"
            ),
        )),
    }
}

#[tonic::async_trait]
impl JobService for JobApi {
    type WatchJobStream = BoxStream<'static, Result<v1::WatchJobResponse, Status>>;
    type WatchJobsStream = BoxStream<'static, Result<v1::WatchJobsResponse, Status>>;
    type ReadLogsStream = BoxStream<'static, Result<v1::ReadLogsResponse, Status>>;

    async fn submit_job(
        &self,
        request: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        // A span takes a parent only before it is entered, so no attribute makes this one.
        let span = info_span!("submit", job.id = field::Empty);
        let given = telemetry::extract(request.metadata());
        let traceparent = telemetry::continue_trace(&span, given.as_deref());
        self.submit(request.into_inner(), traceparent).instrument(span).await
    }

    async fn submit_jobs(
        &self,
        request: Request<v1::SubmitJobsRequest>,
    ) -> Result<Response<v1::SubmitJobsResponse>, Status> {
        let span = info_span!("submit_many", jobs = request.get_ref().jobs.len());
        let given = telemetry::extract(request.metadata());
        let traceparent = telemetry::continue_trace(&span, given.as_deref());
        bulk::submit(self, request.into_inner(), traceparent).instrument(span).await
    }

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let id = convert::job_id("id", &request.get_ref().id)?;
        let mut job = convert::job(&self.row(id).await?);
        let (tasks, more) = self.task_page(id, &[], -1, i64::from(i32::MAX)).await?;
        job.tasks_truncated = more.is_some();
        job.tasks = tasks.into_iter().map(|task| (task.name.clone(), task)).collect();
        Ok(Response::new(v1::GetJobResponse { job: Some(job) }))
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let request = request.get_ref();
        let page = Page::of(request.page_size, &request.page_token)?;
        let filter = JobFilter {
            states: convert::state_words::<v1::job::State, JobState>(&request.states)?,
            queue: Some(request.queue.clone()).filter(|queue| !queue.is_empty()),
            before: page.after()?,
            limit: page.size + 1,
            filter: Some(request.filter.clone()).filter(|filter| !filter.is_empty()),
            ids: bulk::ids("ids", &request.ids)?,
        };
        let mut rows = self.store.jobs(&filter).await.map_err(status::of_store)?;
        let next_page_token = page.next(&mut rows, |row| row.id.to_string());
        let jobs = rows.iter().map(convert::job).collect();
        Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token }))
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let request = request.get_ref();
        let id = convert::job_id("job_id", &request.job_id)?;
        let page = Page::of(request.page_size, &request.page_token)?;
        let states = convert::state_words::<v1::task::State, TaskState>(&request.states)?;
        self.row(id).await?;
        let after = page.after()?.unwrap_or(-1);
        let (tasks, next) = self.task_page(id, &states, after, page.size).await?;
        let next_page_token = next.map(|n| n.to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListTasksResponse { tasks, next_page_token }))
    }

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let request = request.into_inner();
        let id = convert::job_id("id", &request.id)?;
        self.row(id).await?;
        let share = self.looks.watch(id);
        let watch = watch::Watch::new(self.store.clone(), id, request.after_revision, share);
        Ok(Response::new(watch.stream(&self.shutdown)))
    }

    async fn watch_jobs(
        &self,
        request: Request<v1::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        let watch = WatchJobs::new(self.store.clone(), request.into_inner())?;
        Ok(Response::new(watch.stream(&self.shutdown)))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let span = info_span!("cancel", job.id = request.get_ref().id);
        if let Some(given) = telemetry::extract(request.metadata()) {
            telemetry::set_parent(&span, &given);
        }
        self.cancel(request.get_ref()).instrument(span).await
    }

    #[instrument(name = "cancel_many", skip_all)]
    async fn cancel_jobs(
        &self,
        request: Request<v1::CancelJobsRequest>,
    ) -> Result<Response<v1::CancelJobsResponse>, Status> {
        bulk::cancel(self, request.into_inner()).await
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let request = request.into_inner();
        let id = convert::job_id("id", &request.id)?;
        let new = new_id("new_id", &request.new_id)?;
        let tasks = lost::with_lost(&self.store, &self.blobs, id, request.tasks).await?;
        let new = self.store.retry(id, &tasks, new).await.map_err(status::of_store)?;
        info!(job.id = %new, retry_of = %id, "job retried");
        Ok(Response::new(v1::RetryJobResponse { id: new.to_string() }))
    }

    async fn retry_jobs(
        &self,
        request: Request<v1::RetryJobsRequest>,
    ) -> Result<Response<v1::RetryJobsResponse>, Status> {
        bulk::retry(self, &request.into_inner()).await
    }

    async fn read_logs(
        &self,
        request: Request<v1::ReadLogsRequest>,
    ) -> Result<Response<Self::ReadLogsStream>, Status> {
        let request = request.into_inner();
        let id = convert::job_id("job_id", &request.job_id)?;
        self.row(id).await?;
        if request.tail_lines < 0 {
            let message = format!("{} is no number of lines", request.tail_lines);
            return Err(status::bad_field("tail_lines", message));
        }
        for name in &request.tasks {
            let known = self.store.task_number(id, name).await.map_err(status::of_store)?;
            if known.is_none() {
                return Err(Status::not_found(format!("job {id} has no task {name:?}")));
            }
        }
        let reader = logs::Reader::new(self.store.clone(), self.blobs.clone(), id, request);
        Ok(Response::new(reader.stream(&self.shutdown)))
    }
}
