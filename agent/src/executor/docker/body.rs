//! How a container is made: what was written of it, what the agent allows, and what PostQ adds.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, Mount, MountType,
};
use nix::unistd::{getegid, geteuid};
use postq_common::spec::{CPUS, Container, MEMORY};

use super::engine::{AGENT_LABEL, ATTEMPT_LABEL, BOOT_LABEL, Docker};
use crate::executor::task::{DockerProgram, OUTPUT, PAPERS, Task};

/// Where a task finds its workspace, and starts.
pub(super) const WORKSPACE: &str = "/workspace";

impl Docker {
    /// What is sent to the engine. The fault is for the task, and for good.
    pub(super) fn body(
        &self,
        task: &Task,
        program: &DockerProgram,
        image: &str,
    ) -> Result<ContainerCreateBody, String> {
        let DockerProgram { command, container, .. } = program;
        let entrypoint = match (container.entrypoint.is_empty(), command) {
            (false, _) => Some(container.entrypoint.clone()),
            (true, Some(_)) => Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            (true, None) => None,
        };
        Ok(ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint,
            cmd: command.as_ref().map(|command| vec![command.clone()]),
            env: Some(task.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(WORKSPACE.to_owned()),
            user: Some(container.user.clone()).filter(|user| !user.is_empty()).or_else(own_user),
            labels: Some(self.labels(task)),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            host_config: Some(self.host_config(task, container)?),
            ..ContainerCreateBody::default()
        })
    }

    fn labels(&self, task: &Task) -> HashMap<String, String> {
        HashMap::from([
            (AGENT_LABEL.to_owned(), self.agent_id.to_string()),
            (BOOT_LABEL.to_owned(), self.boot_id.to_string()),
            (ATTEMPT_LABEL.to_owned(), task.attempt.to_string()),
            ("postq.job".to_owned(), task.job_id.clone()),
            ("postq.task".to_owned(), task.task_name.clone()),
        ])
    }

    fn host_config(&self, task: &Task, container: &Container) -> Result<HostConfig, String> {
        let network = Some(container.network.as_str()).filter(|network| !network.is_empty());
        if let Some(network) = network.filter(|network| !self.options.allows_network(network)) {
            return Err(format!(
                "this agent does not allow the network {network} (see --allow-network)"
            ));
        }
        Ok(HostConfig {
            mounts: Some(self.mounts(task, container)?),
            network_mode: network.map(ToOwned::to_owned),
            device_requests: gpus(&container.gpus, task.gpus.as_ref())?,
            memory: amount(task, MEMORY),
            // With swap, which is not counted as memory, there would be no limit.
            memory_swap: amount(task, MEMORY),
            // A thousandth of a CPU is a million billionths.
            nano_cpus: amount(task, CPUS).map(|cpus| cpus * 1_000_000),
            pids_limit: self.options.processes.map(i64::from),
            // Process 1 of a container ignores SIGTERM unless it is made for the place.
            init: Some(container.init.unwrap_or(true)),
            // All output comes here; the engine need not keep a second copy.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        })
    }

    fn mounts(&self, task: &Task, container: &Container) -> Result<Vec<Mount>, String> {
        let mut mounts = vec![
            self.own(&task.scratch.workspace(), WORKSPACE, false)?,
            self.own(&task.scratch.papers(), PAPERS, true)?,
            self.own(&task.scratch.output(), OUTPUT, false)?,
        ];
        for written in &container.mounts {
            let mut parts = written.split(':');
            let (source, target) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let is_read_only = parts.next() == Some("ro");
            let is_here = self.paths.is_here();
            let source = self.options.source(Path::new(source), is_read_only, is_here)?;
            mounts.push(bind(&source, target, is_read_only));
        }
        Ok(mounts)
    }

    /// A directory of the attempt.
    fn own(&self, path: &Path, target: &str, is_read_only: bool) -> Result<Mount, String> {
        let on_host: Option<PathBuf> = self.paths.on_host(path);
        let source = on_host.ok_or_else(|| super::engine::not_mounted(path))?;
        Ok(bind(&source, target, is_read_only))
    }
}

fn amount(task: &Task, name: &str) -> Option<i64> {
    i64::try_from(*task.resources.get(name)?).ok()
}

fn bind(source: &Path, target: &str, is_read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(is_read_only),
        ..Mount::default()
    }
}

/// What the engine is asked for. An agent that counts its GPUs has `given` some to the attempt, and no others
/// are to be had; where it does not, the engine knows what there is. The fault is for the task.
fn gpus(
    written: &str,
    given: Option<&BTreeSet<u32>>,
) -> Result<Option<Vec<DeviceRequest>>, String> {
    let written_count = written.parse::<usize>().ok();
    let (count, device_ids) = match (written, given) {
        ("", None) => return Ok(None),
        // All of them, to the engine.
        (_, None) => (Some(written_count.map_or(-1, |n| i64::try_from(n).unwrap_or(-1))), None),
        ("", Some(given)) if given.is_empty() => return Ok(None),
        (_, Some(given)) if given.len() < written_count.unwrap_or(1) => {
            return Err(format!(
                "container.gpus is {written}, and the task was given {} of the GPUs that this agent counts; \
                 ask for them in resources, as {{gpus: {}}}",
                given.len(),
                written_count.unwrap_or(1)
            ));
        }
        (_, Some(given)) => {
            let ids = given.iter().take(written_count.unwrap_or(usize::MAX));
            (None, Some(ids.map(ToString::to_string).collect()))
        }
    };
    Ok(Some(vec![DeviceRequest {
        count,
        device_ids,
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }]))
}

/// The files a container leaves must be readable to the agent. Root reads all.
pub(super) fn own_user() -> Option<String> {
    (!geteuid().is_root()).then(|| format!("{}:{}", geteuid(), getegid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_asked_for_as_the_engine_wants_it() {
        assert_eq!(gpus("", None), Ok(None));
        for (wanted, count) in [("all", -1), ("2", 2)] {
            let request = &gpus(wanted, None).unwrap().unwrap()[0];
            assert_eq!((request.count, &request.device_ids), (Some(count), &None));
            assert_eq!(request.capabilities, Some(vec![vec!["gpu".to_owned()]]));
        }
    }

    #[test]
    fn a_container_gets_those_gpus_that_its_attempt_was_given_and_no_others() {
        let given = BTreeSet::from([1, 3]);
        for (written, wanted) in [("", vec!["1", "3"]), ("all", vec!["1", "3"]), ("1", vec!["1"])] {
            let request = &gpus(written, Some(&given)).unwrap().unwrap()[0];
            assert_eq!(
                (request.count, request.device_ids.clone().unwrap()),
                (None, wanted.into_iter().map(str::to_owned).collect())
            );
        }
        assert_eq!(gpus("", Some(&BTreeSet::new())), Ok(None));
        for (written, given) in [("3", given), ("all", BTreeSet::new()), ("1", BTreeSet::new())] {
            let fault = gpus(written, Some(&given)).unwrap_err();
            assert!(fault.contains("ask for them in resources"), "{fault}");
        }
    }
}
