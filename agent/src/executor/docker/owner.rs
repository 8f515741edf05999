//! Files that a container made as another user, given to the agent's: it can neither read nor remove
//! them else. An agent of root has no need of it.

use std::time::Duration;

use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount},
    query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures::StreamExt;
use tokio::time::timeout;

use super::{
    body::{WORKSPACE, own_user},
    engine::{discard, tell},
};
use crate::executor::task::OUTPUT;

/// An image may hold anything where its `chown` is expected: for so long it may take.
const WITHIN: Duration = Duration::from_secs(120);

/// Gives the files of a container that has ended to the agent, by another container of its image. The
/// fault is for a person.
pub(super) async fn give_back(
    api: &bollard::Docker,
    name: &str,
    ended: &ContainerInspectResponse,
) -> Result<(), String> {
    let Some((body, own)) = handover(ended) else { return Ok(()) };
    let name = format!("{name}-owner");
    let given = timeout(WITHIN, give(api, &name, body)).await;
    let given = given.unwrap_or_else(|_| Err(format!("not done within {} s", WITHIN.as_secs())));
    discard(api, &name).await;
    let tell = |why| format!("the files it made could not be given to {own}: {why}");
    match given {
        Ok(0) => Ok(()),
        Ok(code) => Err(tell(format!("chown: exit code {code}"))),
        Err(why) => Err(tell(why)),
    }
}

async fn give(api: &bollard::Docker, name: &str, body: ContainerCreateBody) -> Result<i64, String> {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let failed = |error: bollard::errors::Error| tell(&error);
    api.create_container(Some(options), body).await.map_err(failed)?;
    api.start_container(name, None).await.map_err(failed)?;
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    match api.wait_container(name, Some(options)).next().await {
        Some(Ok(ended)) => Ok(ended.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(tell(&error)),
        None => Err("the Docker engine does not tell how it ended".to_owned()),
    }
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
