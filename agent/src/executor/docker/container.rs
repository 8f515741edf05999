//! One container from its making to its removal.
//!
//! It is attached to before it starts, so that no byte of output is missed. Invariant: once it was
//! made, the last [`Output`] is given up only after it was removed, or after it was left to those who
//! try that again.

use std::time::{Duration, SystemTime};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    models::{ContainerCreateBody, ContainerState},
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures::{FutureExt, StreamExt};
use postq_common::spec::shown_bytes;
use postq_runtime::spawn_alone;
use tracing::{debug, warn};

use super::{
    engine::{Docker, discard, status, tell},
    fault,
};
use crate::{
    executor::task::{
        self, DockerProgram, Ended, KILLED, Resumed, Running, Started, Task, out_of_memory,
    },
    logs::{Output, Stream},
};

/// How long output is read on once it has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// Before an engine that did not answer is asked again whether it runs.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The task's own fault, which some engines call theirs: no such user in the image, no such program.
const HOPELESS: [&str; 3] =
    ["unable to find user", "command that was not found", "executable file not found"];

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
    /// Makes, attaches to and starts a container of an image that is here.
    pub(crate) async fn start(
        &self,
        task: &Task,
        program: &DockerProgram,
        image: &str,
        output: Output,
    ) -> Started {
        let not_started = |why: String, is_final| Ended::NotStarted { why, is_final };
        let body = self.body(task, program, image).map_err(|why| not_started(why, true))?;
        let user = &program.container.user;
        tokio::task::block_in_place(|| task.scratch.open_to(user))
            .map_err(|error| not_started(format!("its files cannot be given: {error}"), false))?;
        let name = self.name_of(task.attempt);
        let platform = &program.container.platform;
        match self.launch(&name, platform, body).await {
            Ok(attached) => Ok(self.running(name, Some(attached), output)),
            Err(error) => {
                discard(&self.api, &name).await;
                let why = tell(&error);
                let is_hopeless = HOPELESS.iter().any(|word| why.contains(word));
                let is_hopeless = is_hopeless || status(&error) == Some(400);
                Err(fault::not_started("the container could not be started", &why, is_hopeless))
            }
        }
    }

    /// Goes on with a container that an earlier life of the agent has started.
    pub(crate) async fn resume(&self, attempt: i64, output: Output) -> Result<Resumed, Ended> {
        let name = self.name_of(attempt);
        let lost = |error: bollard::errors::Error| {
            Ended::Unknown(format!("the Docker engine lost it: {}", tell(&error)))
        };
        let container = self.api.inspect_container(&name, None).await.map_err(lost)?;
        let state = container.state.unwrap_or_default();
        let ran_for = state.started_at.as_deref().and_then(since).unwrap_or_default();
        // One that has ended has nothing more to say.
        let attached = match state.running.unwrap_or(false) {
            true => self.attach(&name).await.ok(),
            false => None,
        };
        Ok(Resumed {
            running: self.running(name, attached, output),
            ran_for,
            image: container.image,
        })
    }

    fn running(
        &self,
        name: String,
        attached: Option<AttachContainerResults>,
        output: Output,
    ) -> Running {
        let control = Control { api: self.api.clone(), name: name.clone() };
        let ended = follow(self.clone(), name, attached, output).boxed();
        Running { control: task::Control::Docker(control), ended }
    }

    async fn launch(
        &self,
        name: &str,
        platform: &str,
        body: ContainerCreateBody,
    ) -> Result<AttachContainerResults, bollard::errors::Error> {
        let mut options = CreateContainerOptionsBuilder::new().name(name);
        if !platform.is_empty() {
            options = options.platform(platform);
        }
        self.api.create_container(Some(options.build()), body).await?;
        let attached = self.attach(name).await?;
        self.api.start_container(name, None).await?;
        Ok(attached)
    }

    async fn attach(&self, name: &str) -> Result<AttachContainerResults, bollard::errors::Error> {
        let options =
            AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        self.api.attach_container(name, Some(options)).await
    }
}

/// How long ago a time was that the engine wrote.
fn since(time: &str) -> Option<Duration> {
    let time = humantime::parse_rfc3339(time).ok()?;
    SystemTime::now().duration_since(time).ok()
}

/// Tells how it ended as soon as it has. The rest of its output and its removal follow; they hold
/// `output`, so that whoever waits for the end of that waits for them.
async fn follow(
    docker: Docker,
    name: String,
    attached: Option<AttachContainerResults>,
    output: Output,
) -> Ended {
    let mut pump = match attached {
        Some(attached) => pump(name.clone(), attached, output.clone()).boxed(),
        None => std::future::pending().boxed(),
    };
    let has_rest = tokio::select! {
        () = &mut pump => false,
        () = has_stopped(&docker.api, &name) => true,
    };
    let ended = wait(&docker, &name, &output).await;
    spawn_alone("container end", async move {
        if has_rest {
            output.hurry();
            let _ = tokio::time::timeout(LAST_OUTPUT, pump).await;
        }
        discard(&docker.api, &name).await;
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

/// Waits until it does not run, then asks how that came about, and sees to the files it leaves.
async fn wait(docker: &Docker, name: &str, output: &Output) -> Ended {
    let api = &docker.api;
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    // The code is asked for below, together with the rest; here every answer means the end.
    let _ = api.wait_container(name, Some(options)).next().await;
    match api.inspect_container(name, None).await {
        Ok(container) => {
            if let Err(why) = Box::pin(docker.give_back(name, &container, output)).await {
                output.write(Stream::System, format!("postq: {why}\n").into()).await;
            }
            let limit = container.host_config.and_then(|config| config.memory);
            let limit =
                limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|&bytes| bytes > 0);
            container.state.map_or_else(
                || Ended::Unknown("the Docker engine does not tell how it ended".to_owned()),
                |state| judge(&state, limit),
            )
        }
        Err(error) => Ended::Unknown(format!("the Docker engine lost it: {}", tell(&error))),
    }
}

fn judge(state: &ContainerState, limit: Option<u64>) -> Ended {
    let is_running = state.running.unwrap_or(false);
    let problem = state.error.as_deref().unwrap_or_default();
    match state.exit_code.and_then(|code| i32::try_from(code).ok()) {
        Some(code) if !is_running => {
            let note = match (state.oom_killed.unwrap_or(false), problem, limit) {
                (true, ..) => out_of_memory(limit),
                // Of one that dies as soon as it has started the engine does not hear why.
                (false, "", Some(limit)) if code == KILLED => format!(
                    "killed, perhaps out of memory (limit {}): the Docker engine does not say",
                    shown_bytes(limit)
                ),
                (false, problem, _) => problem.to_owned(),
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
        assert_eq!(judge(&state(false, 3, false), Some(512 << 20)), exited(3, ""));
        assert_eq!(
            judge(&state(false, 137, true), Some(512 << 20)),
            exited(137, "killed: out of memory (limit 512 MiB)")
        );
        assert_eq!(
            judge(&state(false, 137, false), Some(512 << 20)),
            exited(
                137,
                "killed, perhaps out of memory (limit 512 MiB): the Docker engine does not say"
            )
        );
        assert_eq!(judge(&state(false, 137, false), None), exited(137, ""));
        assert!(matches!(judge(&state(true, 0, false), Some(512 << 20)), Ended::Unknown(_)));
    }
}
