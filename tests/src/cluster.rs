//! Coordinators and agents of one test over a database of its own, as processes that share nothing
//! but the network.
//!
//! Invariant: no process of a cluster outlives it, and its directory stays only where the test
//! failed, for whoever reads the logs.

use std::{
    env,
    ffi::OsString,
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use postq_cli::embedded::{
    Binaries, DaemonSpec, Stop,
    directory::{ScratchDirectory, create_passable},
};
use serde_json::Value;
use sqlx::ConnectOptions;
use uuid::Uuid;

use crate::{
    client::Client,
    database::Database,
    host::{Host, processes_with},
};

/// An agent to start.
#[derive(Clone, Debug)]
pub struct AgentSetup {
    /// How many attempts it runs at once.
    pub slots: u32,
    /// As of `--executors`.
    pub executors: &'static str,
    /// Addresses of its coordinators; none means all that there are.
    pub coordinators: Vec<String>,
    /// What comes before the program on the command line, as `ip netns exec NAME`.
    pub launcher: Vec<OsString>,
    /// More variables.
    pub environment: Vec<(String, OsString)>,
}

impl Default for AgentSetup {
    fn default() -> Self {
        Self {
            slots: 4,
            executors: "shell",
            coordinators: Vec::new(),
            launcher: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A coordinator with its address.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) host: Host,
    url: String,
    token: Option<String>,
}

/// The processes of one test.
#[derive(Debug)]
pub struct Cluster {
    /// What they all work on.
    pub database: Database,
    /// As of `--store`; none means a directory of the cluster's own.
    pub store: Option<String>,
    /// More variables of every process that is added from now on.
    pub environment: Vec<(String, OsString)>,
    binaries: Binaries,
    pub(crate) coordinators: Vec<Listening>,
    pub(crate) agents: Vec<Host>,
    directory: Option<ScratchDirectory>,
}

impl Cluster {
    /// One coordinator, and an agent with a shell for each number of slots.
    pub async fn start(slots: &[u32]) -> Self {
        let mut cluster = Self::create(Database::create().await);
        cluster.add_coordinator(&[]).await;
        for &slots in slots {
            cluster.add_agent(AgentSetup { slots, ..AgentSetup::default() }).await;
        }
        cluster.wait_for_agents().await;
        cluster
    }

    /// No process yet.
    pub fn create(database: Database) -> Self {
        let binaries = Binaries::locate().unwrap_or_else(|error| panic!("{error}"));
        let directory = ScratchDirectory::create().expect("a directory for the test");
        create_passable(&directory.path().join("logs")).expect("a directory for logs");
        Self {
            database,
            store: None,
            environment: Vec::new(),
            binaries,
            coordinators: Vec::new(),
            agents: Vec::new(),
            directory: Some(directory),
        }
    }

    /// The programs of this build.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// A path below the cluster's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        let directory = self.directory.as_ref().expect("a directory until the end");
        directory.path().join(name)
    }

    /// The database's address.
    pub fn database_url(&self) -> String {
        self.database.options().to_url_lossy().to_string()
    }

    /// Starts one more coordinator on a free port of the loopback and waits until it answers.
    pub async fn add_coordinator(&mut self, arguments: &[&str]) -> usize {
        self.add_coordinator_at("127.0.0.1", arguments, None).await
    }

    /// The same on any address, for clients with that token.
    pub async fn add_coordinator_at(
        &mut self,
        address: &str,
        arguments: &[&str],
        token: Option<&str>,
    ) -> usize {
        let number = self.launch_coordinator(address, arguments, token).await;
        self.wait_until_ready(number).await;
        number
    }

    /// Starts so many coordinators at once and waits until all of them answer.
    pub async fn add_coordinators(&mut self, count: usize) {
        for _ in 0..count {
            self.launch_coordinator("127.0.0.1", &[], None).await;
        }
        for number in 0..count {
            self.wait_until_ready(number).await;
        }
    }

    async fn launch_coordinator(
        &mut self,
        address: &str,
        arguments: &[&str],
        token: Option<&str>,
    ) -> usize {
        let number = self.coordinators.len();
        let listen = format!("{address}:{}", free_port(address));
        let name = format!("coordinator-{}", number + 1);
        let options = ["--listen", &listen, "--max-connections", "8"];
        let mut all: Vec<OsString> = options.map(Into::into).into();
        let store = self.store.as_ref().map_or_else(|| self.path("store").into(), Into::into);
        all.extend(["--store".into(), store]);
        all.extend(arguments.iter().map(Into::into));
        let mut spec = self.spec(&name, &self.binaries.coordinator, all);
        spec.environment.push(("POSTQ_DATABASE_URL".into(), Some(self.database_url().into())));
        let host = Host::start(&self.binaries, spec).await;
        // What listens everywhere is reached by the loopback.
        let url = format!("http://{}", listen.replace("0.0.0.0", "127.0.0.1"));
        self.coordinators.push(Listening { host, url, token: token.map(ToOwned::to_owned) });
        number
    }

    /// Starts one more agent; does not wait until it is connected.
    pub async fn add_agent(&mut self, setup: AgentSetup) -> usize {
        let number = self.agents.len();
        let name = format!("agent-{}", number + 1);
        let urls = match setup.coordinators.is_empty() {
            true => self.coordinators.iter().map(|it| it.url.clone()).collect(),
            false => setup.coordinators,
        };
        let mut words = setup.launcher;
        words.push(self.binaries.agent.clone().into());
        let program = PathBuf::from(words.remove(0));
        words.extend(["--coordinator".into(), urls.join(",").into()]);
        words.extend(["--name".into(), name.clone().into()]);
        words.extend(["--slots".into(), setup.slots.to_string().into()]);
        words.extend(["--executors".into(), setup.executors.into()]);
        words.extend(["--work-dir".into(), self.path(&name).into()]);
        let mut spec = self.spec(&name, &program, words);
        spec.environment
            .extend(setup.environment.into_iter().map(|(name, value)| (name, Some(value))));
        self.agents.push(Host::start(&self.binaries, spec).await);
        number
    }

    /// A client of the first coordinator.
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A client of a coordinator, counted from 0.
    pub fn client_of(&self, number: usize) -> Client {
        let it = &self.coordinators[number];
        Client::new(&it.url, it.token.as_deref())
    }

    /// The address of a coordinator, counted from 0.
    pub fn url(&self, number: usize) -> String {
        self.coordinators[number].url.clone()
    }

    /// A coordinator's process, counted from 0.
    pub fn coordinator(&mut self, number: usize) -> &mut Host {
        &mut self.coordinators[number].host
    }

    /// An agent's process, counted from 0.
    pub fn agent(&mut self, number: usize) -> &mut Host {
        &mut self.agents[number]
    }

    /// The place of an agent by its name.
    pub fn agent_named(&self, name: &str) -> usize {
        let found = self.agents.iter().position(|agent| agent.name() == name);
        found.unwrap_or_else(|| panic!("there is no agent {name:?}"))
    }

    /// Submits a job to the first coordinator.
    pub async fn submit(&self, document: &Value) -> Uuid {
        self.client().submit(document).await
    }

    fn spec(&self, name: &str, program: &Path, arguments: Vec<OsString>) -> DaemonSpec {
        // What the machine says of its own coordinator or collector is not meant for ours.
        let ours = |name: &String| name.starts_with("POSTQ_") || name.starts_with("OTEL_");
        let inherited = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let given = self.environment.iter().cloned().map(|(name, value)| (name, Some(value)));
        DaemonSpec {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            environment: inherited.filter(ours).map(|name| (name, None)).chain(given).collect(),
            directory: self.path(""),
            log: self.path("logs").join(format!("{name}.log")),
            user: None,
            stop: Stop { polite: Signal::SIGKILL, certain: Signal::SIGKILL, grace: GRACE },
        }
    }
}

/// Nothing is asked politely at the end of a test.
const GRACE: Duration = Duration::from_millis(1);
/// How long killed processes are waited for before their directory is removed.
const GONE_LOOKS: u32 = 100;

impl Drop for Cluster {
    fn drop(&mut self) {
        let coordinators = self.coordinators.iter_mut().map(|it| &mut it.host);
        self.agents.iter_mut().chain(coordinators).for_each(Host::kill_at_once);
        let Some(directory) = self.directory.take() else { return };
        for _ in 0..GONE_LOOKS {
            if processes_with(directory.path()).is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        if thread::panicking() {
            eprintln!("the logs of the processes are in {}/logs", directory.path().display());
            directory.keep_logs();
        }
    }
}

pub(crate) fn free_port(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}
