//! `DeadLetterService`: what failed for good, for those who look after it.

use postq_proto::v1::{self, dead_letter_service_server::DeadLetterService};
use prost::Message;
use serde_json::Value;
use tonic::{Request, Response, Status};
use tracing::info;
use uuid::Uuid;

use super::{
    bulk,
    page::{ANSWER_BYTES, Page},
};
use crate::{
    store::{LetterPlace, Redrive, Store},
    wire::status,
};

/// Read from the database at a time: each may have some MiB of arguments.
const CHUNK: i64 = 20;
/// Jobs that one call may name.
const MOST_JOBS: usize = 1000;

/// The service.
#[derive(Clone)]
pub struct DeadLetterApi {
    /// The database.
    pub store: Store,
}

impl DeadLetterApi {
    /// Dead letters behind `after` until a page is full; where the next one begins, if there is more.
    async fn page(
        &self,
        queue: Option<&str>,
        mut after: Option<LetterPlace>,
        size: i64,
    ) -> Result<(Vec<v1::DeadLetter>, Option<LetterPlace>), Status> {
        let mut letters = Vec::new();
        let mut bytes = 0;
        loop {
            let wanted = (size - letters.len() as i64 + 1).min(CHUNK);
            let rows = self.store.dead_letters(queue, after.as_ref(), wanted).await;
            let rows = rows.map_err(status::of_store)?;
            let is_last = (rows.len() as i64) < wanted;
            for row in rows {
                let place = row.place();
                let Some(shown) = row.shown else {
                    after = Some(place);
                    continue;
                };
                let letter = read(shown.0)?;
                bytes += letter.encoded_len();
                let is_full = letters.len() as i64 >= size || bytes > ANSWER_BYTES;
                if is_full && !letters.is_empty() {
                    return Ok((letters, after));
                }
                after = Some(place);
                letters.push(letter);
            }
            if is_last {
                return Ok((letters, None));
            }
        }
    }
}

fn read(shown: Value) -> Result<v1::DeadLetter, Status> {
    serde_json::from_value(shown).map_err(|error| Status::internal(error.to_string()))
}

/// Which dead letters: those of these jobs, or else those of the queue.
fn choice(queue: &str, job_ids: &[String]) -> Result<Option<Vec<Uuid>>, Status> {
    if queue.is_empty() == job_ids.is_empty() {
        return Err(status::bad_field("queue", "name a queue or jobs, one of the two"));
    }
    if job_ids.len() > MOST_JOBS {
        let message = format!("has {} ids; it may have {MOST_JOBS}", job_ids.len());
        return Err(status::bad_field("job_ids", message));
    }
    check_queue(queue)?;
    let jobs = bulk::ids("job_ids", job_ids)?;
    Ok(queue.is_empty().then_some(jobs))
}

fn check_queue(queue: &str) -> Result<(), Status> {
    match queue.strip_prefix("dlq@") {
        Some(name) => {
            let message = format!("is where consumers find them; name the queue itself, {name:?}");
            Err(status::bad_field("queue", message))
        }
        None => Ok(()),
    }
}

#[tonic::async_trait]
impl DeadLetterService for DeadLetterApi {
    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let request = request.get_ref();
        check_queue(&request.queue)?;
        let page = Page::of(request.page_size, &request.page_token)?;
        let queue = Some(request.queue.as_str()).filter(|queue| !queue.is_empty());
        let (dead_letters, next) = self.page(queue, page.after()?, page.size).await?;
        let next_page_token = next.map(|place| place.to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<v1::RedriveDeadLettersRequest>,
    ) -> Result<Response<v1::RedriveDeadLettersResponse>, Status> {
        let request = request.get_ref();
        let jobs = choice(&request.queue, &request.job_ids)?;
        let limit = match request.max_count {
            0 => 100,
            count @ 1..=1000 => count,
            other => {
                let message = format!("is {other}; it may be 1 to 1000");
                return Err(status::bad_field("max_count", message));
            }
        };
        if jobs.is_some() && !request.filter.is_empty() {
            let message = "is set beside job_ids; name jobs, or a queue and what chooses of it";
            return Err(status::bad_field("filter", message));
        }
        let which = Redrive {
            queue: &request.queue,
            jobs: jobs.as_deref(),
            limit,
            filter: &request.filter,
            rate: (request.rate != 0.0).then_some(request.rate),
        };
        let redriven = self.store.redrive(&which).await;
        let redriven: Vec<_> = redriven
            .map_err(status::of_store)?
            .into_iter()
            .map(|(job, new)| v1::redrive_dead_letters_response::Redriven {
                job_id: job.to_string(),
                new_job_id: new.to_string(),
            })
            .collect();
        info!(queue.name = request.queue, count = redriven.len(), "dead letters redriven");
        Ok(Response::new(v1::RedriveDeadLettersResponse { redriven }))
    }

    async fn purge_dead_letters(
        &self,
        request: Request<v1::PurgeDeadLettersRequest>,
    ) -> Result<Response<v1::PurgeDeadLettersResponse>, Status> {
        let request = request.get_ref();
        let jobs = choice(&request.queue, &request.job_ids)?;
        let purged = self.store.purge(&request.queue, jobs.as_deref()).await;
        let purged = purged.map_err(status::of_store)?;
        info!(queue.name = request.queue, count = purged, "dead letters purged");
        Ok(Response::new(v1::PurgeDeadLettersResponse { purged }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_queue_and_jobs_is_named() {
        let id = Uuid::from_u128(1).to_string();
        assert!(choice("", &[]).is_err());
        assert!(choice("a", std::slice::from_ref(&id)).is_err());
        assert!(choice("dlq@a", &[]).is_err());
        assert!(choice("", &["x".to_owned()]).is_err());
        assert!(choice("", &vec![id.clone(); MOST_JOBS + 1]).is_err());
        assert_eq!(choice("a", &[]).unwrap(), None);
        assert_eq!(choice("", &[id]).unwrap(), Some(vec![Uuid::from_u128(1)]));
    }
}
