//! One container from its making to its removal.
//!
//! It is attached to before it starts, so that no byte of output is missed. Invariant: once it was
//! made, the last [`Output`] is given up only after it was removed, or after it was left to those who
//! try that again.

use std::{collections::HashMap, time::Duration};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    models::{
        ContainerCreateBody, ContainerState, HostConfig, HostConfigLogConfig, Mount, MountType,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures::{FutureExt, StreamExt};
use nix::unistd::{getegid, geteuid};
use postq_runtime::Shutdown;
use tracing::{debug, warn};

use super::engine::{AGENT_LABEL, BOOT_LABEL, Docker, discard, status, tell};
use crate::{
    executor::task::{self, Ended, Running, Started, Task},
    logs::{Output, Stream},
};

/// Where a task finds its workspace, and starts.
const WORKSPACE: &str = "/workspace";

/// How long output is read on once it has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// Before an engine that did not answer is asked again whether it runs.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Sends signals to a container.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    api: bollard::Docker,
    name: String,
}

impl Control {
    pub(crate) async fn signal(&self, signal: &str) {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.api.kill_container(&self.name, Some(options)).await {
            Ok(()) => {}
            // Gone, or not running any more.
            Err(error) if matches!(status(&error), Some(404 | 409)) => {}
            Err(error) => warn!(container = self.name, why = tell(&error), "signal not delivered"),
        }
    }
}

impl Docker {
    /// Makes, attaches to and starts a container.
    pub(crate) async fn start(
        &self,
        task: &Task,
        image: &str,
        command: Option<&str>,
        output: Output,
    ) -> Started {
        let name = format!("postq-{}-{}", self.agent_id, task.attempt);
        match self.launch(&name, self.body(task, image, command)).await {
            Ok(attached) => {
                let control = Control { api: self.api.clone(), name: name.clone() };
                let ended = follow(self.api.clone(), name, attached, output).boxed();
                Ok(Running { control: task::Control::Docker(control), ended })
            }
            Err(error) => {
                discard(&self.api, &name).await;
                Err(Ended::NotStarted {
                    why: format!("the container could not be started: {}", tell(&error)),
                    is_final: status(&error) == Some(400),
                })
            }
        }
    }

    async fn launch(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<AttachContainerResults, bollard::errors::Error> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.api.create_container(Some(options), body).await?;
        let options =
            AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = self.api.attach_container(name, Some(options)).await?;
        self.api.start_container(name, None).await?;
        Ok(attached)
    }

    fn body(&self, task: &Task, image: &str, command: Option<&str>) -> ContainerCreateBody {
        let labels = HashMap::from([
            (AGENT_LABEL.to_owned(), self.agent_id.to_string()),
            (BOOT_LABEL.to_owned(), self.boot_id.to_string()),
            ("postq.job".to_owned(), task.job_id.clone()),
            ("postq.task".to_owned(), task.task_name.clone()),
            ("postq.attempt".to_owned(), task.attempt.to_string()),
        ]);
        let workspace = Mount {
            typ: Some(MountType::BIND),
            source: Some(task.scratch.workspace().to_string_lossy().into_owned()),
            target: Some(WORKSPACE.to_owned()),
            ..Mount::default()
        };
        ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: command.map(|_| vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            cmd: command.map(|command| vec![command.to_owned()]),
            env: Some(task.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(WORKSPACE.to_owned()),
            user: own_user(),
            labels: Some(labels),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig {
                mounts: Some(vec![workspace]),
                // Process 1 of a container ignores SIGTERM unless it is made for the place.
                init: Some(true),
                // All output comes here; the engine need not keep a second copy.
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

/// The files a container leaves must be readable to the agent. Root reads all.
fn own_user() -> Option<String> {
    (!geteuid().is_root()).then(|| format!("{}:{}", geteuid(), getegid()))
}

/// Tells how it ended as soon as it has. The rest of its output and its removal follow; they hold
/// `output`, so that whoever waits for the end of that waits for them.
async fn follow(
    api: bollard::Docker,
    name: String,
    attached: AttachContainerResults,
    output: Output,
) -> Ended {
    let mut pump = pump(name.clone(), attached, output.clone()).boxed();
    let has_rest = tokio::select! {
        () = &mut pump => false,
        () = has_stopped(&api, &name) => true,
    };
    let ended = wait(&api, &name).await;
    Shutdown::new().spawn("container end", async move {
        if has_rest {
            output.hurry();
            let _ = tokio::time::timeout(LAST_OUTPUT, pump).await;
        }
        discard(&api, &name).await;
        drop(output);
    });
    ended
}

async fn pump(name: String, mut attached: AttachContainerResults, output: Output) {
    while let Some(piece) = attached.output.next().await {
        match piece {
            Ok(LogOutput::StdErr { message }) => output.write(Stream::Stderr, message).await,
            Ok(piece) => output.write(Stream::Stdout, piece.into_bytes()).await,
            Err(error) => {
                debug!(container = name, why = tell(&error), "output of the container broke off");
                return;
            }
        }
    }
}

/// Resolves when the engine says that it does not run; an engine that is away says nothing.
async fn has_stopped(api: &bollard::Docker, name: &str) {
    loop {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match api.wait_container(name, Some(options)).next().await {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => return,
            Some(Err(error)) if status(&error) == Some(404) => return,
            Some(Err(_)) | None => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// Waits until it does not run, then asks how that came about.
async fn wait(api: &bollard::Docker, name: &str) -> Ended {
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    // The code is asked for below, together with the rest; here every answer means the end.
    let _ = api.wait_container(name, Some(options)).next().await;
    match api.inspect_container(name, None).await {
        Ok(container) => container.state.map_or_else(
            || Ended::Unknown("the Docker engine does not tell how it ended".to_owned()),
            |state| judge(&state),
        ),
        Err(error) => Ended::Unknown(format!("the Docker engine lost it: {}", tell(&error))),
    }
}

fn judge(state: &ContainerState) -> Ended {
    let is_running = state.running.unwrap_or(false);
    let problem = state.error.as_deref().unwrap_or_default();
    match state.exit_code.and_then(|code| i32::try_from(code).ok()) {
        Some(code) if !is_running => {
            let note = match (state.oom_killed.unwrap_or(false), problem) {
                (true, _) => "out of memory".to_owned(),
                (false, problem) => problem.to_owned(),
            };
            Ended::Exited { code, note }
        }
        _ => Ended::Unknown("the connection to the Docker engine broke while it ran".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_container_is_judged_by_its_state() {
        let state = |running, exit_code, oom_killed| ContainerState {
            running: Some(running),
            exit_code: Some(exit_code),
            oom_killed: Some(oom_killed),
            ..ContainerState::default()
        };
        let exited = |code, note: &str| Ended::Exited { code, note: note.to_owned() };
        assert_eq!(judge(&state(false, 3, false)), exited(3, ""));
        assert_eq!(judge(&state(false, 137, true)), exited(137, "out of memory"));
        assert!(matches!(judge(&state(true, 0, false)), Ended::Unknown(_)));
    }
}
