//! Every unary call has a deadline, also where the client gave none.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use tonic::Status;

/// Longest time for one unary call: a job of the largest size is planned and stored within it.
const DEADLINE: Duration = Duration::from_secs(120);

/// The methods that stream, one way or the other; they are watched by keepalive instead.
const STREAMS: [&str; 7] = [
    "/postq.v1.DispatchService/Connect",
    "/postq.v1.DispatchService/PushLogs",
    "/postq.v1.JobService/WatchJob",
    "/postq.v1.JobService/WatchJobs",
    "/postq.v1.JobService/ReadLogs",
    "/postq.v1.WorkspaceService/Upload",
    "/postq.v1.WorkspaceService/Download",
];

/// The layer.
pub async fn limit(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/postq.v1.") || STREAMS.contains(&path) {
        return next.run(request).await;
    }
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Status::deadline_exceeded("the call took too long").into_http(),
    }
}

#[cfg(test)]
mod tests {
    use postq_proto::FILE_DESCRIPTOR_SET;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_list_of_streams_is_that_of_the_contract() {
        let contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut streams: Vec<String> = contract
            .file
            .iter()
            .filter(|file| file.package() == "postq.v1")
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                let methods = service.method.iter();
                let streaming = methods.filter(|m| m.client_streaming() || m.server_streaming());
                streaming.map(move |m| format!("/postq.v1.{}/{}", service.name(), m.name()))
            })
            .collect();
        streams.sort();
        let mut listed = STREAMS.to_vec();
        listed.sort_unstable();
        assert_eq!(streams, listed);
    }
}
