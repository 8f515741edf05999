//! Files that a container made as another user, given to the agent's: it can neither read nor remove
//! them else. An agent of root has no need of it.

use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse, HostConfig},
    query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures::StreamExt;

use super::{
    body::{WORKSPACE, own_user},
    engine::{discard, tell},
};

/// Gives the files of a container that has ended to the agent, by another container of its image. The
/// fault is for a person.
pub(super) async fn give_back(
    api: &bollard::Docker,
    name: &str,
    ended: &ContainerInspectResponse,
) -> Result<(), String> {
    let Some((body, own)) = handover(ended) else { return Ok(()) };
    let name = format!("{name}-owner");
    let given = give(api, &name, body).await;
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
    let mounts = ended.host_config.as_ref()?.mounts.clone()?;
    let workspace = mounts.into_iter().filter(|it| it.target.as_deref() == Some(WORKSPACE));
    // Links themselves, and nothing behind them.
    let command = format!("chown -hR {own} {WORKSPACE}");
    let body = ContainerCreateBody {
        image: ended.image.clone(),
        entrypoint: Some(["/bin/sh", "-c"].map(str::to_owned).into()),
        cmd: Some(vec![command]),
        user: Some("0:0".to_owned()),
        labels: config.labels.clone(),
        host_config: Some(HostConfig {
            mounts: Some(workspace.collect()),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    Some((body, own))
}
