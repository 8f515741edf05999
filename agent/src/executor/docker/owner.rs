//! Files that a container made as another user, given to the agent's: it can neither read nor remove
//! them else. An agent of root has no need of it.
//!
//! Another container does it, of the task's image, or of one that the operator names for those that
//! lack a shell.

use std::time::Duration;

use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount},
    query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures::StreamExt;
use postq_common::spec::Container;
use tokio::time::timeout;

use super::{
    body::{WORKSPACE, own_user},
    engine::{Docker, discard, tell},
};
use crate::{
    executor::task::{DockerProgram, Ended, OUTPUT},
    logs::Output,
};

/// An image may hold anything where its `chown` is expected: for so long it may take.
const WITHIN: Duration = Duration::from_secs(120);

impl Docker {
    /// Gives the files of a container that has ended to the agent. The fault is for a person.
    pub(super) async fn give_back(
        &self,
        name: &str,
        ended: &ContainerInspectResponse,
        output: &Output,
    ) -> Result<(), String> {
        let Some((body, own)) = handover(ended) else { return Ok(()) };
        let name = format!("{name}-owner");
        let given = self.give_by(&name, body, output).await;
        discard(&self.api, &name).await;
        given.map_err(|why| format!("the files it made could not be given to {own}: {why}"))
    }

    async fn give_by(
        &self,
        name: &str,
        body: ContainerCreateBody,
        output: &Output,
    ) -> Result<(), String> {
        let Some(image) = &self.options.chown_image else {
            let given = in_time(give(&self.api, name, body)).await;
            let hint = "where an image has no /bin/sh or no chown, see --chown-image of the agent";
            return given.map_err(|why| format!("{why} ({hint})"));
        };
        let (image, container) = (image.clone(), Container::default());
        let program = DockerProgram { image, command: None, container };
        let image = self.have_image(&program, output).await.map_err(|ended| match ended {
            Ended::NotStarted { why, .. } => why,
            other => format!("its image: {other:?}"),
        })?;
        let body = ContainerCreateBody { image: Some(image.digest.clone()), ..body };
        in_time(give(&self.api, name, body)).await
    }
}

async fn in_time(given: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let late = |_| format!("not done within {} s", WITHIN.as_secs());
    timeout(WITHIN, given).await.map_err(late)?
}

async fn give(api: &bollard::Docker, name: &str, body: ContainerCreateBody) -> Result<(), String> {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let failed = |error: bollard::errors::Error| tell(&error);
    api.create_container(Some(options), body).await.map_err(failed)?;
    api.start_container(name, None).await.map_err(failed)?;
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let code = match api.wait_container(name, Some(options)).next().await {
        Some(Ok(ended)) => ended.status_code,
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(tell(&error)),
        None => return Err("the Docker engine does not tell how it ended".to_owned()),
    };
    if code == 0 { Ok(()) } else { Err(format!("chown: exit code {code}")) }
}

/// What does it, and to whom; none where the files are the agent's already.
fn handover(ended: &ContainerInspectResponse) -> Option<(ContainerCreateBody, String)> {
    let own = own_user()?;
    let config = ended.config.as_ref()?;
    if config.user.as_ref() == Some(&own) {
        return None;
    }
    let limits = ended.host_config.as_ref()?;
    let mounts = limits.mounts.clone()?;
    let is_ours =
        |it: &Mount| it.target.as_deref().is_some_and(|at| [WORKSPACE, OUTPUT].contains(&at));
    let mounts: Vec<Mount> = mounts.into_iter().filter(is_ours).collect();
    let places: Vec<&str> = mounts.iter().filter_map(|it| it.target.as_deref()).collect();
    // Links themselves, and nothing behind them.
    let command = format!("chown -hR {own} {}", places.join(" "));
    let body = ContainerCreateBody {
        image: ended.image.clone(),
        entrypoint: Some(["/bin/sh", "-c"].map(str::to_owned).into()),
        cmd: Some(vec![command]),
        user: Some("0:0".to_owned()),
        labels: config.labels.clone(),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            network_mode: Some("none".to_owned()),
            // As strange to the agent as the task itself.
            memory: limits.memory,
            memory_swap: limits.memory_swap,
            nano_cpus: limits.nano_cpus,
            pids_limit: limits.pids_limit,
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    Some((body, own))
}
