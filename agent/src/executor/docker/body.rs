//! How a container is made: what was written of it, what the agent allows, and what PostQ adds.

use std::{
    collections::HashMap,
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
            device_requests: gpus(&container.gpus),
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

fn gpus(wanted: &str) -> Option<Vec<DeviceRequest>> {
    let count = match wanted {
        "" => return None,
        // All of them, to the engine.
        "all" => -1,
        number => number.parse().ok()?,
    };
    Some(vec![DeviceRequest {
        count: Some(count),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }])
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
        assert_eq!(gpus(""), None);
        for (wanted, count) in [("all", -1), ("2", 2)] {
            let request = &gpus(wanted).unwrap()[0];
            assert_eq!(request.count, Some(count));
            assert_eq!(request.capabilities, Some(vec![vec!["gpu".to_owned()]]));
        }
    }
}
