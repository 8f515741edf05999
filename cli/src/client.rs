//! The clients of a coordinator's services, with the token and the limits they all share.
//!
//! It knows nothing of what is asked. Invariant: making one connects to nobody; the first call does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use postq_agent::config::{TokenError, token_in};
use postq_proto::v1::{
    agent_service_client::AgentServiceClient, artifact_service_client::ArtifactServiceClient,
    dead_letter_service_client::DeadLetterServiceClient, job_service_client::JobServiceClient,
    queue_service_client::QueueServiceClient, schedule_service_client::ScheduleServiceClient,
    workspace_service_client::WorkspaceServiceClient,
};
use postq_runtime::channel::{Channel, ChannelError, MESSAGE_LIMIT, connect_lazy};
use tonic::Request;

use crate::failure::{Exit, Failure};

/// Longest wait for the answer to one call; streams have none.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Which coordinator, and the right to speak to it.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// The coordinator's address.
    #[arg(
        long,
        env = "POSTQ_COORDINATOR",
        default_value = "http://127.0.0.1:7432",
        value_name = "URL"
    )]
    pub coordinator: String,
    /// Token for a coordinator that wants one. An argument is seen by everybody on this host:
    /// better use --token-file or the variable.
    #[arg(long, env = "POSTQ_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// File with that token, written as the coordinator's own: the first line that is TOKEN or
    /// `client TOKEN` counts. --token goes first.
    #[arg(long, env = "POSTQ_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Connection {
    /// The clients for it. Nobody is connected to yet.
    pub fn open(&self) -> Result<Coordinator, Failure> {
        let token = match (&self.token, &self.token_file) {
            (None, Some(file)) => Some(token_of(file, "client")?),
            (token, _) => token.clone(),
        };
        Coordinator::connect_lazily(&self.coordinator, token.as_deref())
            .map_err(|error| Failure::new(Exit::Invalid, format!("{error}; see --coordinator")))
    }
}

/// The first token of a coordinator's token file that is good for `role`.
pub fn token_of(file: &Path, role: &'static str) -> Result<String, Failure> {
    token_in(file, role).map_err(|error| match &error {
        TokenError::Unreadable { source, .. } => Failure::of_file("read", file, source),
        TokenError::NoToken { .. } => Failure::new(Exit::Invalid, error.to_string()),
    })
}

/// One coordinator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Coordinator {
    url: Arc<str>,
    channel: Channel,
}

impl Coordinator {
    /// The coordinator at `url`, connected to by the first call.
    pub fn connect_lazily(url: &str, token: Option<&str>) -> Result<Self, ChannelError> {
        Ok(Self { url: url.into(), channel: connect_lazy(url, token)? })
    }

    /// Its address, as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it is made of.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Jobs.
    pub fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Agents.
    pub fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Schedules.
    pub fn schedules(&self) -> ScheduleServiceClient<Channel> {
        ScheduleServiceClient::new(self.channel())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Queues.
    pub fn queues(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channel()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Files that stay when their job is forgotten.
    pub fn artifacts(&self) -> ArtifactServiceClient<Channel> {
        ArtifactServiceClient::new(self.channel()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Dead letters.
    pub fn dead_letters(&self) -> DeadLetterServiceClient<Channel> {
        DeadLetterServiceClient::new(self.channel()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Files.
    pub fn workspaces(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }
}

/// A request that is answered in a bounded time.
pub fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_LIMIT);
    request
}
