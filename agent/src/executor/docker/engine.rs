//! The connection to the engine, and what an earlier life of the agent left there.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use backon::BackoffBuilder;
use bollard::{
    models::ContainerSummary,
    query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use postq_runtime::spawn_alone;
use tracing::{info, warn};
use uuid::Uuid;

use super::{host::HostPaths, image::Images, options::DockerOptions};
use crate::coordinators;

/// Label with the id of the agent that made a container.
pub(super) const AGENT_LABEL: &str = "postq.agent";

/// Label with the life of that agent, by which orphans are told from what runs.
pub(super) const BOOT_LABEL: &str = "postq.boot";

/// Label with the attempt that it is of.
pub(super) const ATTEMPT_LABEL: &str = "postq.attempt";

/// How long an engine may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A Docker engine that answered.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    pub(super) api: bollard::Docker,
    pub(super) agent_id: Arc<str>,
    pub(super) boot_id: Arc<str>,
    pub(super) images: Arc<Images>,
    pub(super) options: Arc<DockerOptions>,
    pub(super) paths: Arc<HostPaths>,
    /// Attempts of an earlier life that go on.
    resumed: Arc<Mutex<BTreeSet<i64>>>,
}

impl Docker {
    /// Connects to the engine of DOCKER_HOST or of this host; agrees on a version of its API.
    /// `work_dir` is what its containers must be able to see.
    pub(crate) async fn connect(
        agent_id: &str,
        work_dir: &Path,
        options: DockerOptions,
    ) -> Result<Self, String> {
        let api = bollard::Docker::connect_with_defaults().map_err(|error| error.to_string())?;
        let api = match tokio::time::timeout(ANSWER_TIMEOUT, api.negotiate_version()).await {
            Ok(Ok(api)) => api,
            Ok(Err(error)) => return Err(tell(&error)),
            Err(_) => return Err("it does not answer in time".to_owned()),
        };
        let paths = HostPaths::find(&api).await.map_err(|error| tell(&error))?;
        paths.on_host(work_dir).ok_or_else(|| not_mounted(work_dir))?;
        Ok(Self {
            api,
            agent_id: agent_id.into(),
            boot_id: Uuid::new_v4().to_string().into(),
            images: Arc::new(tokio::task::block_in_place(|| Images::open(work_dir))),
            options: Arc::new(options),
            paths: Arc::new(paths),
            resumed: Arc::default(),
        })
    }

    pub(super) fn name_of(&self, attempt: i64) -> String {
        format!("postq-{}-{attempt}", self.agent_id)
    }

    /// The attempts that an earlier life of this agent has started in containers that still run, or
    /// have ended by themselves.
    pub(crate) async fn left(&self) -> Result<BTreeSet<i64>, String> {
        use bollard::models::ContainerSummaryStateEnum::{EXITED, PAUSED, RUNNING};
        let found = self.containers().await?.into_iter();
        let started = found.filter(|it| matches!(it.state, Some(RUNNING | PAUSED | EXITED)));
        let attempt = |it: ContainerSummary| it.labels?.get(ATTEMPT_LABEL)?.parse().ok();
        Ok(started.filter_map(attempt).collect())
    }

    /// Removes the container of an attempt.
    pub(crate) async fn discard(&self, attempt: i64) {
        discard(&self.api, &self.name_of(attempt)).await;
    }

    /// These are not to be removed.
    pub(crate) fn keep(&self, attempts: impl IntoIterator<Item = i64>) {
        self.resumed().extend(attempts);
    }

    fn resumed(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.resumed.lock().expect("invariant: nothing panics under this lock")
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, String> {
        let label = format!("{AGENT_LABEL}={}", self.agent_id);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        self.api.list_containers(Some(options)).await.map_err(|error| tell(&error))
    }

    /// Removes every container of an earlier life of this agent whose attempt does not go on. What cannot be removed now is tried again until it can.
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
        for container in self.containers().await? {
            let labels = container.labels.unwrap_or_default();
            let is_ours = labels.get(BOOT_LABEL).is_some_and(|boot| **boot == *self.boot_id);
            let attempt = labels.get(ATTEMPT_LABEL).and_then(|attempt| attempt.parse().ok());
            let is_kept = attempt.is_some_and(|attempt: i64| self.resumed().contains(&attempt));
            if let (false, false, Some(id)) = (is_ours, is_kept, container.id) {
                remove(&self.api, &id).await?;
            }
        }
        Ok(())
    }
}

/// An agent in a container keeps a path where no other container can see it.
pub(super) fn not_mounted(path: &Path) -> String {
    format!(
        "the agent runs in a container, and {} is on none of its mounts; mount a volume or a \
         directory of the host there",
        path.display()
    )
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
    spawn_alone("container reaper", async move {
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
