//! Which executors this agent has.

use std::{collections::BTreeSet, fmt, path::Path, str::FromStr};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    docker::{Docker, DockerOptions, Image},
    shell::{Shell, ShellOptions},
    task::{Ended, Program, Resumed, Started, Task},
};
use crate::logs::Output;

/// An executor, as it is named in options and in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutorName {
    /// `sh -c` on this host.
    Shell,
    /// Containers of a Docker engine.
    Docker,
}

/// Why an executor cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The name is none of ours.
    #[error("there is no executor `{0}`; this agent has shell and docker")]
    UnknownName(String),
    /// It was asked for and no engine answers.
    #[error(
        "no Docker engine answers: {0}; start one, point DOCKER_HOST at it, or leave docker out \
         of --executors"
    )]
    NoDocker(String),
}

impl FromStr for ExecutorName {
    type Err = ExecutorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "shell" => Ok(Self::Shell),
            "docker" => Ok(Self::Docker),
            other => Err(ExecutorError::UnknownName(other.to_owned())),
        }
    }
}

impl fmt::Display for ExecutorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shell => "shell",
            Self::Docker => "docker",
        })
    }
}

/// The executors of one agent.
#[derive(Clone, Debug)]
pub struct Executors {
    shell: Option<Shell>,
    docker: Option<Docker>,
}

impl Executors {
    /// Opens those that were asked for. Where none was named: shell, and docker if an engine
    /// answers.
    pub async fn open(
        wanted: &[ExecutorName],
        (agent_id, work_dir): (&str, &Path),
        shell: ShellOptions,
        docker: DockerOptions,
    ) -> Result<Self, ExecutorError> {
        let wants = |name| wanted.is_empty() || wanted.contains(&name);
        let shell = wants(ExecutorName::Shell).then(|| Shell::new(shell));
        let docker = match wants(ExecutorName::Docker) {
            false => None,
            true => match Docker::connect(agent_id, work_dir, docker).await {
                Ok(docker) => Some(docker),
                Err(why) if wanted.is_empty() => {
                    info!(why, "no Docker engine answers; tasks with an image will not run here");
                    None
                }
                Err(why) => return Err(ExecutorError::NoDocker(why)),
            },
        };
        Ok(Self { shell, docker })
    }

    /// Their names, for the coordinator.
    pub fn names(&self) -> Vec<ExecutorName> {
        let shell = self.shell.as_ref().map(|_| ExecutorName::Shell);
        let docker = self.docker.as_ref().map(|_| ExecutorName::Docker);
        shell.into_iter().chain(docker).collect()
    }

    /// The attempts of an earlier life of the agent that can be gone on with.
    pub async fn left(&self) -> BTreeSet<i64> {
        let Some(docker) = &self.docker else { return BTreeSet::new() };
        docker.left().await.unwrap_or_else(|why| {
            warn!(why, "containers of an earlier run of this agent cannot be looked for");
            BTreeSet::new()
        })
    }

    /// These attempts of an earlier life go on.
    pub fn keep(&self, attempts: impl IntoIterator<Item = i64>) {
        if let Some(docker) = &self.docker {
            docker.keep(attempts);
        }
    }

    /// Ends what an earlier life of the agent has started for an attempt.
    pub(crate) async fn discard(&self, attempt: i64) {
        if let Some(docker) = &self.docker {
            docker.discard(attempt).await;
        }
    }

    /// Removes what an earlier life of the agent left running and does not go on.
    pub async fn reap_orphans(&self) {
        crate::process::reap_orphans();
        if let Some(docker) = &self.docker
            && let Err(why) = docker.reap_orphans().await
        {
            warn!(why, "containers of an earlier run of this agent could not be removed");
        }
    }

    /// Removes now and then what tasks brought to this host that none needs any more, until told to
    /// stop.
    pub(crate) async fn tidy(self, stop: CancellationToken) {
        if let Some(docker) = self.docker {
            docker.collect_garbage(stop).await;
        }
    }

    /// What must be there before the task can start and may take long (an image). May be dropped at
    /// any point.
    pub(crate) async fn prepare(
        &self,
        task: &Task,
        output: &Output,
    ) -> Result<Option<Image>, Ended> {
        match (&task.program, &self.docker) {
            (Program::Docker(program), Some(docker)) => {
                docker.have_image(program, output).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Goes on with a task that an earlier life of the agent has started.
    pub(crate) async fn resume(&self, task: &Task, output: Output) -> Result<Resumed, Ended> {
        match (&task.program, &self.docker) {
            (Program::Docker(_), Some(docker)) => docker.resume(task.attempt, output).await,
            _ => Err(Ended::Unknown("it did not outlive its agent".to_owned())),
        }
    }

    /// Starts the task, in the image that was prepared. Must not be dropped before it has returned.
    pub(crate) async fn start(
        &self,
        task: &Task,
        image: Option<&Image>,
        output: Output,
    ) -> Started {
        match &task.program {
            Program::Shell { command } => match &self.shell {
                Some(shell) => shell.start(task, command, output).await,
                None => Err(lacks(ExecutorName::Shell)),
            },
            Program::Docker(program) => match &self.docker {
                Some(docker) => {
                    let image = image.map_or(program.image.as_str(), |image| &image.digest);
                    docker.start(task, program, image, output).await
                }
                None => Err(lacks(ExecutorName::Docker)),
            },
        }
    }
}

fn lacks(name: ExecutorName) -> Ended {
    Ended::NotStarted { why: format!("this agent has no executor {name}"), is_final: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_executor_is_refused_with_those_there_are() {
        let error = "kubernetes".parse::<ExecutorName>().unwrap_err().to_string();
        assert_eq!(error, "there is no executor `kubernetes`; this agent has shell and docker");
        assert_eq!(" docker".parse::<ExecutorName>().unwrap(), ExecutorName::Docker);
    }
}
