//! The connection to the engine, and what an earlier life of the agent left there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use backon::BackoffBuilder;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use postq_runtime::Shutdown;
use tracing::{info, warn};
use uuid::Uuid;

use super::image::Images;
use crate::coordinators;

/// Label with the id of the agent that made a container.
pub(super) const AGENT_LABEL: &str = "postq.agent";

/// Label with the life of that agent, by which orphans are told from what runs.
pub(super) const BOOT_LABEL: &str = "postq.boot";

/// How long an engine may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A Docker engine that answered.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    pub(super) api: bollard::Docker,
    pub(super) agent_id: Arc<str>,
    pub(super) boot_id: Arc<str>,
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
        let boot_id = Uuid::new_v4().to_string().into();
        Ok(Self { api, agent_id: agent_id.into(), boot_id, images: Arc::default() })
    }

    /// Removes every container of an earlier life of this agent: none of its attempts survived the
    /// restart. What cannot be removed now is tried again until it can.
    pub(crate) async fn reap_orphans(&self) -> Result<(), String> {
        let reaped = self.reap().await;
        if reaped.is_err() {
            let this = self.clone();
            until_done("containers of an earlier run", move || {
                let this = this.clone();
                async move { this.reap().await }
            });
        }
        reaped
    }

    async fn reap(&self) -> Result<(), String> {
        let label = format!("{AGENT_LABEL}={}", self.agent_id);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.api.list_containers(Some(options)).await.map_err(|e| tell(&e))?;
        for container in found {
            let labels = container.labels.unwrap_or_default();
            let is_ours = labels.get(BOOT_LABEL).is_some_and(|boot| **boot == *self.boot_id);
            if let (false, Some(id)) = (is_ours, container.id) {
                remove(&self.api, &id).await?;
            }
        }
        Ok(())
    }
}

/// Removes a container; where the engine does not do it now, it is asked again until it does.
pub(super) async fn discard(api: &bollard::Docker, name: &str) {
    let Err(why) = remove(api, name).await else { return };
    warn!(container = name, why, "container not removed; trying again");
    let (api, name) = (api.clone(), name.to_owned());
    until_done("a container", move || {
        let (api, name) = (api.clone(), name.clone());
        async move { remove(&api, &name).await }
    });
}

/// Tries again and again, as long as this process lives; the next one begins with reaping.
fn until_done<F>(what: &'static str, work: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<(), String>> + Send,
{
    Shutdown::new().spawn("container reaper", async move {
        let mut pauses = coordinators::backoff().build();
        loop {
            tokio::time::sleep(pauses.next().unwrap_or(coordinators::MAX_PAUSE)).await;
            if work().await.is_ok() {
                return info!(what, "removed from the Docker engine after all");
            }
        }
    });
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
