//! An agent's process.

use std::{ffi::OsString, path::PathBuf};

use super::config::ClusterConfig;
use crate::embedded::{Daemon, EmbeddedError, directory::create_passable};

/// Starts the agent of this number, counted from 0.
pub(super) async fn spawn(
    config: &ClusterConfig,
    endpoint: String,
    number: usize,
) -> Result<Daemon, EmbeddedError> {
    let name = name(number);
    let directory = directory(config, number);
    create_passable(&directory)?;
    let mut arguments: Vec<OsString> = vec![
        "--coordinator".into(),
        endpoint.into(),
        "--name".into(),
        name.clone().into(),
        "--work-dir".into(),
        directory.into(),
        // When we stop, nobody is left to wait for what still runs.
        "--drain-timeout".into(),
        "0s".into(),
    ];
    if let Some(slots) = config.agents.slots {
        arguments.extend(["--slots".into(), slots.to_string().into()]);
    }
    if let Some(executors) = &config.agents.executors {
        arguments.extend(["--executors".into(), executors.into()]);
    }
    let mut spec = config.daemon(&name, &config.binaries.agent, arguments);
    if let Some(tokens) = &config.tokens {
        // Not as an argument, which everybody on the machine can read.
        spec.environment.push(("POSTQ_TOKEN".to_owned(), Some((&tokens.agent).into())));
    }
    Daemon::start(&config.binaries.postq, spec).await
}

fn name(number: usize) -> String {
    format!("agent-{}", number + 1)
}

/// Its own directory.
pub(super) fn directory(config: &ClusterConfig, number: usize) -> PathBuf {
    config.directory.join(name(number))
}
