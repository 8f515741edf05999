//! What `JobService` does to many jobs in one call.
//!
//! Invariant: a list is taken whole or not at all; what a list of ids names in vain is left alone.

use std::collections::BTreeSet;

use postq_common::state::JobState;
use postq_proto::v1;
use tonic::{Response, Status};
use tracing::info;
use uuid::Uuid;

use super::job_service::{JobApi, new_id};
use crate::{
    store::{CancelFilter, RetryFilter},
    wire::{convert, status},
};

/// Jobs or ids in one call.
const MOST: usize = 10_000;
/// Requests applied in one transaction.
const PAGE: i32 = 1000;
/// Jobs retried by one call that does not say.
const RETRIED: i32 = 1000;

/// Submits jobs, all or none.
pub(super) async fn submit(
    api: &JobApi,
    request: v1::SubmitJobsRequest,
    traceparent: Option<String>,
) -> Result<Response<v1::SubmitJobsResponse>, Status> {
    check_count("jobs", request.jobs.len())?;
    let mut jobs = Vec::with_capacity(request.jobs.len());
    for (place, one) in request.jobs.into_iter().enumerate() {
        let field = |name: &str| format!("jobs[{place}].{name}");
        let id = new_id(&field("id"), &one.id)?;
        if one.wait.is_some() || one.require_queue {
            let message = "wait and require_queue are for SubmitJob; leave them out of a list";
            return Err(status::bad_field(&format!("jobs[{place}]"), message));
        }
        let document = one.job.ok_or_else(|| {
            status::bad_field(&field("job"), "missing; a job is what there is to submit")
        })?;
        jobs.push((id, document));
    }
    let admitted = api.admission.admit_many(jobs, traceparent).await;
    let admitted = admitted.map_err(status::of_admission)?;
    for _ in admitted.iter().filter(|(_, created)| *created) {
        api.metrics.submitted();
    }
    let jobs = admitted
        .into_iter()
        .map(|(id, created)| v1::SubmitJobResponse { id: id.to_string(), created });
    Ok(Response::new(v1::SubmitJobsResponse { jobs: jobs.collect() }))
}

/// Asks for the end of jobs by their ids, or by what chooses them, and applies it.
pub(super) async fn cancel(
    api: &JobApi,
    request: v1::CancelJobsRequest,
) -> Result<Response<v1::CancelJobsResponse>, Status> {
    let ids = ids("ids", &request.ids)?;
    let which = CancelFilter {
        filter: some(request.filter),
        queue: some(request.queue),
        waiting_only: request.waiting_only,
        reason: some(request.reason),
    };
    let is_filtered = which.filter.is_some() || which.queue.is_some() || which.waiting_only;
    let requested = match (ids.is_empty(), is_filtered) {
        (true, false) => {
            return Err(status::bad_field("ids", "is empty; name jobs, or what chooses them"));
        }
        (false, true) => {
            let message =
                "is set beside filter, queue or waiting_only; name jobs, or what chooses them";
            return Err(status::bad_field("ids", message));
        }
        (false, false) => api.store.cancel_many(&ids, which.reason.as_deref()).await,
        (true, true) => api.store.cancel_matching(&which).await,
    };
    let requested = requested.map_err(status::of_store)?;
    apply(api, requested).await?;
    info!(jobs = requested, "cancels requested");
    Ok(Response::new(v1::CancelJobsResponse { requested }))
}

/// Makes new jobs of those that a filter chooses.
pub(super) async fn retry(
    api: &JobApi,
    request: &v1::RetryJobsRequest,
) -> Result<Response<v1::RetryJobsResponse>, Status> {
    let mut states = convert::state_words::<v1::job::State, JobState>(&request.states)?;
    if states.is_empty() {
        states.push(JobState::Failed.to_string());
    }
    let which = RetryFilter {
        filter: some(request.filter.clone()),
        queue: some(request.queue.clone()),
        states,
        limit: if request.max_count == 0 { RETRIED } else { request.max_count },
        rate: (request.rate != 0.0).then_some(request.rate),
    };
    let retried = api.store.retry_matching(&which).await.map_err(status::of_store)?;
    info!(jobs = retried.len(), "jobs retried");
    let retried = retried.into_iter().map(|(job, new)| v1::retry_jobs_response::Retried {
        job_id: job.to_string(),
        new_job_id: new.to_string(),
    });
    Ok(Response::new(v1::RetryJobsResponse { retried: retried.collect() }))
}

/// What has not started ends now, as far as one call can; the upkeep goes on.
async fn apply(api: &JobApi, requested: i64) -> Result<(), Status> {
    let (mut after, mut left) = (0, requested);
    while left > 0 {
        let applied = api.store.apply_inbox(after, PAGE).await.map_err(status::of_store)?;
        applied.ended.iter().for_each(|job| api.looks.look_now(*job));
        after = applied.last;
        left -= applied.applied;
        if applied.applied < i64::from(PAGE) {
            break;
        }
    }
    Ok(())
}

/// The ids of a list, each once.
pub(super) fn ids(field: &str, given: &[String]) -> Result<Vec<Uuid>, Status> {
    check_count(field, given.len())?;
    let read = |(place, id): (usize, &String)| convert::job_id(&format!("{field}[{place}]"), id);
    let ids: BTreeSet<Uuid> =
        given.iter().enumerate().map(|id| read(id).map(|id| id.0)).collect::<Result<_, _>>()?;
    Ok(ids.into_iter().collect())
}

fn check_count(field: &str, count: usize) -> Result<(), Status> {
    if count > MOST {
        return Err(status::bad_field(field, format!("has {count} elements; it may have {MOST}")));
    }
    Ok(())
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
