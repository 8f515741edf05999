//! What a cluster consists of, and what its processes have in common.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::embedded::{Binaries, DaemonSpec, Durability, PostgresConfig, Stop};

/// An agent waits for its tasks to end politely, whose own grace is 10 s unless they say otherwise.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// The agents of a cluster.
#[derive(Clone, Debug)]
pub struct Agents {
    /// How many.
    pub count: usize,
    /// How many attempts each runs at once; `None` leaves it to the agent.
    pub slots: Option<u32>,
    /// As of the agent's `--executors`; `None` leaves it to the agent.
    pub executors: Option<String>,
}

/// The coordinator's tokens, and those of our own processes among them.
#[derive(Clone)]
pub struct ClusterTokens {
    /// The coordinator's file.
    pub file: PathBuf,
    /// For asking whether it is ready.
    pub client: String,
    /// For the agents.
    pub agent: String,
}

impl std::fmt::Debug for ClusterTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ClusterTokens({})", self.file.display())
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The programs.
    pub binaries: Binaries,
    /// Its own directory: data, logs, the agents' directories.
    pub directory: PathBuf,
    /// Whether the private Postgres survives a crash of the machine.
    pub durability: Durability,
    /// A database to use instead of a private Postgres.
    pub database_url: Option<String>,
    /// The blob store; `None` is a folder of `directory`.
    pub store: Option<PathBuf>,
    /// Where the coordinator listens; `None` is a free port of the loopback.
    pub listen: Option<SocketAddr>,
    /// The agents.
    pub agents: Agents,
    /// What the coordinator asks for; `None` is nothing.
    pub tokens: Option<ClusterTokens>,
    /// More arguments for the coordinator.
    pub coordinator_arguments: Vec<OsString>,
    /// More variables for the coordinator and the agents.
    pub environment: Vec<(String, OsString)>,
}

impl ClusterConfig {
    pub(super) fn postgres(&self) -> PostgresConfig {
        PostgresConfig {
            postq: self.binaries.postq.clone(),
            directory: self.directory.join("postgres"),
            log: self.directory.join("logs").join("postgres.log"),
            durability: self.durability,
            settings: Vec::new(),
        }
    }

    /// The folder of the logs.
    pub(super) fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// A process of ours.
    pub(super) fn daemon(
        &self,
        name: &str,
        program: &Path,
        arguments: Vec<OsString>,
    ) -> DaemonSpec {
        // The user's own variables are meant for the user's own coordinator.
        let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let removed = inherited.filter(|name| name.starts_with("POSTQ_")).map(|name| (name, None));
        let given =
            self.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        DaemonSpec {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            environment: removed.chain(given).collect(),
            directory: self.directory.clone(),
            log: self.directory.join("logs").join(format!("{name}.log")),
            user: None,
            stop: Stop { polite: Signal::SIGTERM, certain: Signal::SIGKILL, grace: STOP_GRACE },
        }
    }
}
