//! `QueueService`: queues for those who look after them.

use postq_proto::v1::{self, queue_service_server::QueueService};
use serde_json::{Map, Value};
use tonic::{Request, Response, Status};

use super::page::Page;
use crate::{store::Store, wire::status};

/// The settings by their names in the contract.
const FIELDS: [&str; 13] = [
    "description",
    "paused",
    "max_running",
    "max_jobs",
    "retry",
    "timeout",
    "expires_after",
    "dead_letters",
    "aging",
    "retention",
    "notify",
    "webhook",
    "rate",
];

/// The service.
#[derive(Clone)]
pub struct QueueApi {
    /// The database.
    pub store: Store,
}

impl QueueApi {
    async fn queue(&self, name: &str) -> Result<v1::Queue, Status> {
        let found = self.store.queue(name).await.map_err(status::of_store)?;
        let found = found.ok_or_else(|| {
            Status::not_found(format!("there is no queue {name:?}: nobody declared or used it"))
        })?;
        read(found)
    }
}

/// The settings that are to be written, those that are not set as null.
fn settings(given: Option<v1::QueueSettings>, fields: &[String]) -> Result<Value, Status> {
    for field in fields {
        if !FIELDS.contains(&field.as_str()) {
            let message = format!("{field:?} is no setting of a queue");
            return Err(status::bad_field("fields", message));
        }
    }
    // JSON has no word for it, so it would be taken for one that is not set.
    if given.as_ref().is_some_and(|given| !given.aging.is_finite()) {
        return Err(status::bad_field("aging", "is no number"));
    }
    let written = serde_json::to_value(given.unwrap_or_default())
        .map_err(|error| status::bad_field("settings", error.to_string()))?;
    let wanted =
        FIELDS.into_iter().filter(|name| fields.is_empty() || fields.iter().any(|it| it == name));
    let settings: Map<String, Value> = wanted
        .map(|name| (name.to_owned(), written.get(name).cloned().unwrap_or(Value::Null)))
        .collect();
    Ok(Value::Object(settings))
}

fn read(queue: Value) -> Result<v1::Queue, Status> {
    serde_json::from_value(queue).map_err(|error| Status::internal(error.to_string()))
}

#[tonic::async_trait]
impl QueueService for QueueApi {
    async fn put_queue(
        &self,
        request: Request<v1::PutQueueRequest>,
    ) -> Result<Response<v1::PutQueueResponse>, Status> {
        let request = request.into_inner();
        let settings = settings(request.settings, &request.fields)?;
        let put = self.store.put_queue(&request.name, &settings, request.if_absent).await;
        let put = put.map_err(status::of_store)?;
        let queue = Some(read(put.queue)?);
        Ok(Response::new(v1::PutQueueResponse { queue, created: put.created }))
    }

    async fn get_queue(
        &self,
        request: Request<v1::GetQueueRequest>,
    ) -> Result<Response<v1::GetQueueResponse>, Status> {
        let queue = Some(self.queue(&request.get_ref().name).await?);
        Ok(Response::new(v1::GetQueueResponse { queue }))
    }

    async fn list_queues(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        let request = request.get_ref();
        let page = Page::of(request.page_size, &request.page_token)?;
        let after: Option<String> = page.after()?;
        let rows = self.store.queues(after.as_deref(), page.size + 1).await;
        let mut rows = rows.map_err(status::of_store)?;
        let next_page_token = page.next(&mut rows, |(name, _)| name.clone());
        let queues = rows.into_iter().map(|(_, queue)| read(queue)).collect::<Result<_, _>>()?;
        Ok(Response::new(v1::ListQueuesResponse { queues, next_page_token }))
    }

    async fn delete_queue(
        &self,
        request: Request<v1::DeleteQueueRequest>,
    ) -> Result<Response<v1::DeleteQueueResponse>, Status> {
        let request = request.get_ref();
        let deleted = self.store.delete_queue(&request.name, request.force).await;
        let deleted = deleted.map_err(status::of_store)?;
        Ok(Response::new(v1::DeleteQueueResponse { deleted }))
    }

    async fn pause_queue(
        &self,
        request: Request<v1::PauseQueueRequest>,
    ) -> Result<Response<v1::PauseQueueResponse>, Status> {
        let name = &request.get_ref().name;
        self.store.pause(name).await.map_err(status::of_store)?;
        let queue = Some(self.queue(name).await?);
        Ok(Response::new(v1::PauseQueueResponse { queue }))
    }

    async fn resume_queue(
        &self,
        request: Request<v1::ResumeQueueRequest>,
    ) -> Result<Response<v1::ResumeQueueResponse>, Status> {
        let name = &request.get_ref().name;
        self.store.resume(name).await.map_err(status::of_store)?;
        let queue = Some(self.queue(name).await?);
        Ok(Response::new(v1::ResumeQueueResponse { queue }))
    }

    async fn get_queue_stats(
        &self,
        request: Request<v1::GetQueueStatsRequest>,
    ) -> Result<Response<v1::GetQueueStatsResponse>, Status> {
        let name = &request.get_ref().name;
        let found = self.store.queue(name).await.map_err(status::of_store)?;
        let stats = found.map(read).transpose()?.and_then(|queue| queue.stats).unwrap_or_default();
        Ok(Response::new(v1::GetQueueStatsResponse { stats: Some(stats) }))
    }
}

#[cfg(test)]
mod tests {
    use postq_proto::FILE_DESCRIPTOR_SET;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_settings_are_those_of_the_contract() {
        let contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let messages = contract.file.iter().flat_map(|file| &file.message_type);
        let mut messages = messages.filter(|message| message.name() == "QueueSettings");
        let fields: Vec<_> =
            messages.next().unwrap().field.iter().map(|field| field.name().to_owned()).collect();
        assert_eq!(fields, FIELDS);
    }

    #[test]
    fn only_what_is_named_is_written_and_what_is_unset_is_null() {
        let given = v1::QueueSettings { max_running: 5, ..Default::default() };
        let fields = ["max_running".to_owned(), "timeout".to_owned()];
        let written = settings(Some(given), &fields).unwrap();
        assert_eq!(written, serde_json::json!({"max_running": 5, "timeout": null}));
        assert!(settings(None, &["colour".to_owned()]).is_err());
    }
}
