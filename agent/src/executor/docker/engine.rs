//! The connection to the engine, and what an earlier life of the agent left there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};

use super::image::Images;

/// Label with the id of the agent that made a container.
pub(super) const AGENT_LABEL: &str = "postq.agent";

/// How long an engine may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A Docker engine that answered.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    pub(super) api: bollard::Docker,
    pub(super) agent_id: Arc<str>,
    pub(super) images: Arc<Images>,
}

impl Docker {
    /// Connects to the engine of DOCKER_HOST or of this host; agrees on a version of its API.
    pub(crate) async fn connect(agent_id: &str) -> Result<Self, String> {
        let api = bollard::Docker::connect_with_defaults().map_err(|error| error.to_string())?;
        let api = match tokio::time::timeout(ANSWER_TIMEOUT, api.negotiate_version()).await {
            Ok(Ok(api)) => api,
            Ok(Err(error)) => return Err(tell(&error)),
            Err(_) => return Err("it does not answer in time".to_owned()),
        };
        Ok(Self { api, agent_id: agent_id.into(), images: Arc::default() })
    }

    /// Removes every container of this agent: none of its attempts survived its restart.
    pub(crate) async fn reap_orphans(&self) -> Result<(), String> {
        let label = format!("{AGENT_LABEL}={}", self.agent_id);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.api.list_containers(Some(options)).await.map_err(|e| tell(&e))?;
        for id in found.into_iter().filter_map(|container| container.id) {
            remove(&self.api, &id).await?;
        }
        Ok(())
    }
}

/// Kills and removes a container with its volumes; one that is not there is fine.
pub(super) async fn remove(api: &bollard::Docker, container: &str) -> Result<(), String> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match api.remove_container(container, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => Err(tell(&error)),
    }
}

/// The engine's own words, without what the library puts before them.
pub(super) fn tell(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        error => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        }
    }
}

/// The HTTP status of a refusal.
pub(super) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
