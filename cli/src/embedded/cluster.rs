//! Postgres, a coordinator and agents together, all child processes of this one.
//!
//! The agents have separate directories and share nothing but the coordinator. It knows nothing of
//! jobs. Invariant: a [`Cluster`] that was started answers at its endpoint, and all its agents
//! were connected.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::{join_all, select_all};
use nix::sys::signal::Signal;
use postq_proto::v1::ListAgentsRequest;
use tokio::time::{Instant, sleep};

use super::{
    Binaries, Daemon, DaemonSpec, Durability, EmbeddedError, Postgres, PostgresConfig, Stop,
    directory::create_passable,
};
use crate::client::Coordinator;

/// The first start applies the migrations.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting cluster is asked whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// An agent waits for its tasks to end politely, whose own grace is 10 s unless they say otherwise.
const STOP_GRACE: Duration = Duration::from_secs(15);
/// A port that was free may be taken by another process before the coordinator has it.
const PORT_TRIES: usize = 3;

/// How often a member that ends by itself is started anew before something must be wrong.
const RESTARTS: usize = 10;

/// Which process of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Postgres,
    Coordinator,
    Agent(usize),
}

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
    /// The coordinator's tokens, and one of them for our own agents.
    pub token: Option<(PathBuf, String)>,
    /// More arguments for the coordinator.
    pub coordinator_arguments: Vec<OsString>,
    /// More variables for the coordinator and the agents.
    pub environment: Vec<(String, OsString)>,
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    postgres: Option<Postgres>,
    database_url: String,
    address: SocketAddr,
    coordinator: Daemon,
    agents: Vec<Daemon>,
}

impl Cluster {
    /// Starts Postgres (unless a database is given), the coordinator and the agents, and waits
    /// until all of them are ready.
    pub async fn start(config: ClusterConfig) -> Result<Self, EmbeddedError> {
        create_passable(&config.directory)?;
        create_passable(&config.directory.join("logs"))?;
        let postgres = match config.database_url {
            Some(_) => None,
            None => Some(Postgres::start(postgres_config(&config)).await?),
        };
        let database_url = match (&config.database_url, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(postgres)) => postgres.url(),
            (None, None) => unreachable!("a private Postgres was started"),
        };
        let (coordinator, address) = start_coordinator(&config, &database_url).await?;
        let mut cluster =
            Self { config, postgres, database_url, address, coordinator, agents: Vec::new() };
        for number in 0..cluster.config.agents.count {
            let agent = cluster.spawn_agent(number).await?;
            cluster.agents.push(agent);
        }
        cluster.wait_for_agents().await?;
        Ok(cluster)
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> String {
        endpoint(self.address)
    }

    /// A client of its coordinator.
    pub fn client(&self) -> Coordinator {
        client(&self.config, self.address)
    }

    /// The database it works on.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.config.directory.join("logs")
    }

    /// The coordinator's process.
    pub fn coordinator(&mut self) -> &mut Daemon {
        &mut self.coordinator
    }

    /// An agent's process, counted from 0.
    pub fn agent(&mut self, number: usize) -> &mut Daemon {
        &mut self.agents[number]
    }

    /// The directory of an agent, counted from 0.
    pub fn agent_directory(&self, number: usize) -> PathBuf {
        agent_directory(&self.config, number)
    }

    /// Starts an agent that was stopped or killed anew, in its old directory.
    pub async fn restart_agent(&mut self, number: usize) -> Result<(), EmbeddedError> {
        self.agents[number].stop().await;
        self.agents[number] = self.spawn_agent(number).await?;
        Ok(())
    }

    /// Starts the coordinator that was stopped or killed anew, at its old address.
    pub async fn restart_coordinator(&mut self) -> Result<(), EmbeddedError> {
        self.coordinator.stop().await;
        let (config, url) = (&self.config, &self.database_url);
        self.coordinator = spawn_coordinator(config, url, self.address).await?;
        wait_for_coordinator(config, &mut self.coordinator, self.address).await
    }

    /// Starts a coordinator or an agent that ended by itself anew, telling `say` about it, until
    /// Postgres ended or one of them did too often.
    pub async fn tend(&mut self, say: impl Fn(&str)) -> EmbeddedError {
        let mut left = RESTARTS;
        loop {
            let (which, error) = self.first_end().await;
            if left == 0 || which == Member::Postgres {
                return error;
            }
            left -= 1;
            say(&format!("{error}; starting it anew"));
            let restarted = match which {
                Member::Agent(number) => self.restart_agent(number).await,
                Member::Coordinator | Member::Postgres => self.restart_coordinator().await,
            };
            if let Err(error) = restarted {
                return error;
            }
        }
    }

    async fn first_end(&mut self) -> (Member, EmbeddedError) {
        let postgres = self.postgres.iter_mut().map(|it| (Member::Postgres, it.daemon()));
        let agents = self.agents.iter_mut().enumerate();
        let daemons = agents
            .map(|(number, agent)| (Member::Agent(number), agent))
            .chain([(Member::Coordinator, &mut self.coordinator)])
            .chain(postgres);
        let ends = daemons.map(|(member, daemon)| {
            Box::pin(async move {
                let status = daemon.wait().await;
                let status = status.map_or("unknown".to_owned(), |status| status.to_string());
                (member, daemon.not_started(format!("ended unexpectedly ({status})")))
            })
        });
        select_all(ends).await.0
    }

    /// Stops the agents, then the coordinator, then Postgres.
    pub async fn stop(mut self) {
        join_all(self.agents.iter_mut().map(Daemon::stop)).await;
        self.coordinator.stop().await;
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }

    async fn spawn_agent(&self, number: usize) -> Result<Daemon, EmbeddedError> {
        let name = agent_name(number);
        let directory = self.agent_directory(number);
        create_passable(&directory)?;
        let mut arguments: Vec<OsString> = vec![
            "--coordinator".into(),
            self.endpoint().into(),
            "--name".into(),
            name.clone().into(),
            "--work-dir".into(),
            directory.into(),
            // When we stop, nobody is left to wait for what still runs.
            "--drain-timeout".into(),
            "0s".into(),
        ];
        if let Some(slots) = self.config.agents.slots {
            arguments.extend(["--slots".into(), slots.to_string().into()]);
        }
        if let Some(executors) = &self.config.agents.executors {
            arguments.extend(["--executors".into(), executors.into()]);
        }
        let mut spec = daemon_spec(&self.config, &name, &self.config.binaries.agent, arguments);
        if let Some((_, token)) = &self.config.token {
            // Not as an argument, which everybody on the machine can read.
            spec.environment.push(("POSTQ_TOKEN".to_owned(), Some(token.into())));
        }
        Daemon::start(&self.config.binaries.postq, spec).await
    }

    async fn wait_for_agents(&mut self) -> Result<(), EmbeddedError> {
        let client = self.client();
        let deadline = Instant::now() + START_LIMIT;
        while connected(&client).await.is_none_or(|count| count < self.agents.len()) {
            for daemon in &mut self.agents {
                if let Some(status) = daemon.ended() {
                    return Err(daemon.not_started(format!("ended at once ({status})")));
                }
            }
            if Instant::now() > deadline {
                let what = format!("did not connect within {} s", START_LIMIT.as_secs());
                return Err(self.agents[0].not_started(what));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

async fn start_coordinator(
    config: &ClusterConfig,
    database_url: &str,
) -> Result<(Daemon, SocketAddr), EmbeddedError> {
    let mut tries = 1;
    loop {
        let address = match config.listen {
            Some(address) => address,
            None => free_address()?,
        };
        let mut daemon = spawn_coordinator(config, database_url, address).await?;
        match wait_for_coordinator(config, &mut daemon, address).await {
            Err(_) if config.listen.is_none() && tries < PORT_TRIES && is_taken(address) => {
                tries += 1;
            }
            outcome => return outcome.map(|()| (daemon, address)),
        }
    }
}

async fn spawn_coordinator(
    config: &ClusterConfig,
    database_url: &str,
    address: SocketAddr,
) -> Result<Daemon, EmbeddedError> {
    let store = config.store.clone().unwrap_or_else(|| config.directory.join("store"));
    create_passable(&store)?;
    let mut arguments: Vec<OsString> =
        vec!["--listen".into(), address.to_string().into(), "--store".into(), store.into()];
    if let Some((file, _)) = &config.token {
        arguments.extend(["--token-file".into(), file.into()]);
    }
    arguments.extend(config.coordinator_arguments.iter().cloned());
    let mut spec = daemon_spec(config, "coordinator", &config.binaries.coordinator, arguments);
    // Not as an argument: it may hold a password.
    spec.environment.push(("POSTQ_DATABASE_URL".to_owned(), Some(database_url.into())));
    Daemon::start(&config.binaries.postq, spec).await
}

async fn wait_for_coordinator(
    config: &ClusterConfig,
    daemon: &mut Daemon,
    address: SocketAddr,
) -> Result<(), EmbeddedError> {
    let client = client(config, address);
    let deadline = Instant::now() + START_LIMIT;
    while connected(&client).await.is_none() {
        if let Some(status) = daemon.ended() {
            return Err(daemon.not_started(format!("ended at once ({status})")));
        }
        if Instant::now() > deadline {
            daemon.stop().await;
            let what = format!("was not ready within {} s", START_LIMIT.as_secs());
            return Err(daemon.not_started(what));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// How many agents are connected; `None` where the coordinator or its database does not answer.
async fn connected(client: &Coordinator) -> Option<usize> {
    let request = ListAgentsRequest { page_size: 1000, ..Default::default() };
    let answer = client.agents().list_agents(request).await.ok()?.into_inner();
    Some(answer.agents.iter().filter(|agent| agent.is_connected).count())
}

fn client(config: &ClusterConfig, address: SocketAddr) -> Coordinator {
    let token = config.token.as_ref().map(|(_, token)| token.as_str());
    Coordinator::connect_lazily(&endpoint(address), token)
        .expect("invariant: an address makes a valid endpoint")
}

/// What is bound to every address of the machine is reached by the loopback.
fn endpoint(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

fn postgres_config(config: &ClusterConfig) -> PostgresConfig {
    PostgresConfig {
        postq: config.binaries.postq.clone(),
        directory: config.directory.join("postgres"),
        log: config.directory.join("logs").join("postgres.log"),
        durability: config.durability,
        settings: Vec::new(),
    }
}

fn daemon_spec(
    config: &ClusterConfig,
    name: &str,
    program: &Path,
    arguments: Vec<OsString>,
) -> DaemonSpec {
    // The user's own variables are meant for the user's own coordinator.
    let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let removed = inherited.filter(|name| name.starts_with("POSTQ_")).map(|name| (name, None));
    let given = config.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    DaemonSpec {
        name: name.to_owned(),
        program: program.to_owned(),
        arguments,
        environment: removed.chain(given).collect(),
        directory: config.directory.clone(),
        log: config.directory.join("logs").join(format!("{name}.log")),
        user: None,
        stop: Stop { polite: Signal::SIGTERM, certain: Signal::SIGKILL, grace: STOP_GRACE },
    }
}

fn agent_name(number: usize) -> String {
    format!("agent-{}", number + 1)
}

fn agent_directory(config: &ClusterConfig, number: usize) -> PathBuf {
    config.directory.join(agent_name(number))
}

fn free_address() -> Result<SocketAddr, EmbeddedError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(EmbeddedError::io("find a free port of", "127.0.0.1"))
}

fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_reach_an_unspecified_address_by_the_loopback() {
        assert_eq!(endpoint("0.0.0.0:7432".parse().unwrap()), "http://127.0.0.1:7432");
        assert_eq!(endpoint("[::1]:7432".parse().unwrap()), "http://[::1]:7432");
    }
}
