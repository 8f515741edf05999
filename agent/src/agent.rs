//! Puts the parts of an agent together and runs them until it is told to leave.

use std::{io, sync::Arc, time::Duration};

use postq_proto::v1;
use postq_runtime::{
    Shutdown,
    channel::{Channel, ChannelError},
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use crate::{
    attempt::{Files, Runner},
    config::Config,
    coordinators::Coordinators,
    executor::{ExecutorError, Executors},
    gpus::{self, Gpus},
    home::{Home, HomeError},
    ledger::{Ledger, read_text},
    logs::{Pusher, Shelf},
    process,
    scratch::Scratch,
    secrets::SecretSource,
    session::Session,
    supervisor::{Command, Desk, Identity, Leave, Setup, recover},
};

/// Words of the session on their way to the desk; a full queue slows the stream.
const COMMANDS: usize = 64;
/// How long the parts may take to end once nothing runs any more.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries to kill and to remove what tasks left that withstood at first.
const LEFTOVERS_EVERY: Duration = Duration::from_secs(60);

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address or the token.
    #[error(transparent)]
    Coordinator(#[from] ChannelError),
    /// The work directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What lies in the work directory.
    #[error("what an earlier run left in the work directory cannot be read")]
    Recovery(#[source] io::Error),
    /// The kernel.
    #[error("this process cannot be made the heir of its tasks' processes")]
    Orphans(#[source] io::Error),
    /// An executor.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}

/// An agent that is ready to connect.
#[derive(Debug)]
pub struct Agent {
    desk: Desk,
    commands: mpsc::Sender<Command>,
    coordinators: Coordinators,
    /// Tells the workspace which coordinator answers.
    files: watch::Sender<Channel>,
    shelf: Arc<Shelf>,
    ledger: Ledger,
    shutdown: Shutdown,
    /// Holds the lock.
    _home: Home,
}

impl Agent {
    /// Takes the work directory, cleans up after an earlier life, and finds its executors. Connects
    /// to no coordinator yet. Needs a multi-threaded runtime.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let coordinators = Coordinators::new(&config.coordinators, config.token.as_deref())?;
        let home = Home::open(&config.work_dir)?;
        let agent_id = home.agent_id().to_string();
        process::adopt_orphans().map_err(StartError::Orphans)?;
        let executors = Executors::open(
            &config.executors,
            (&agent_id, home.dir()),
            config.shell.clone(),
            config.docker.clone(),
        )
        .await?;
        let ledger = Ledger::open(home.attempts_dir()).map_err(StartError::Recovery)?;
        let shelf = Arc::new(Shelf::open(&home.logs_dir()).map_err(StartError::Recovery)?);
        let left = executors.left().await;
        let recovered = tokio::task::block_in_place(|| recover(&ledger, &shelf, &left))
            .map_err(StartError::Recovery)?;
        executors.keep(recovered.resumed.iter().map(|assignment| assignment.attempt));
        executors.reap_orphans().await;
        let gpus = Gpus::new(&config.gpus);
        recovered.resumed.iter().for_each(|assignment| hold_gpus(&gpus, &ledger, assignment));
        let shutdown = Shutdown::new();
        let identity = Identity { hello: hello(&config, agent_id, &executors) };
        let (files, newest) = watch::channel(coordinators.channel_to_first());
        let runner = Runner {
            executors,
            files: tokio::task::block_in_place(|| {
                Files::open(newest, config.file_limits, &home.dir().join("cache"))
            }),
            shelf: shelf.clone(),
            log_limits: config.log_limits,
            gpus,
            secrets: SecretSource::new(config.secrets_dir.clone()),
            slots: Arc::new(Semaphore::new(config.slots.into())),
            shutdown: shutdown.clone(),
        };
        shutdown.spawn("tidying", runner.executors.clone().tidy(shutdown.token()));
        let (sender, commands) = mpsc::channel(COMMANDS);
        let desk = Desk::new(Setup {
            identity,
            runner,
            ledger: ledger.clone(),
            drain_timeout: config.drain_timeout,
            when_alone: config.when_alone,
            commands,
            recovered,
        });
        let commands = sender;
        Ok(Self { desk, commands, coordinators, files, shelf, ledger, shutdown, _home: home })
    }

    /// Runs until it was told to leave and nothing runs any more. False: a part of it failed.
    pub async fn run(self, leave: Leave) -> bool {
        let session =
            Session::new(self.coordinators.clone(), self.commands, self.files, leave.drain.clone());
        let pusher = Pusher::new(self.shelf, self.coordinators);
        let token = self.shutdown.token();
        self.shutdown.spawn_critical("session", session.run(token.clone()));
        self.shutdown.spawn_critical("log pusher", pusher.run(token.clone()));
        self.shutdown.spawn("leftovers", remove_leftovers(self.ledger, token.clone()));
        // A part that failed takes the agent with it, in order.
        let failed = token.clone();
        let now = leave.now.clone();
        self.shutdown.spawn("failure", async move {
            failed.cancelled().await;
            now.cancel();
        });
        self.desk.run(leave).await;
        let is_well = !self.shutdown.has_begun();
        self.shutdown.begin();
        self.shutdown.wait(END_TIMEOUT).await;
        is_well
    }
}

/// What goes on keeps the GPUs that it has.
fn hold_gpus(gpus: &Gpus, ledger: &Ledger, assignment: &v1::Assignment) {
    let scratch = Scratch::at(ledger.scratch_dir(assignment.attempt));
    let noted = tokio::task::block_in_place(|| read_text(&scratch.gpus()));
    if let Some(devices) = noted.and_then(|text| gpus::parse(&text)) {
        gpus.hold(assignment.attempt, devices);
    }
}

async fn remove_leftovers(ledger: Ledger, stop: CancellationToken) {
    let mut turns = tokio::time::interval(LEFTOVERS_EVERY);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        tokio::task::block_in_place(|| {
            process::reap_orphans();
            ledger.remove_leftovers();
        });
    }
}

fn hello(config: &Config, agent_id: String, executors: &Executors) -> v1::Hello {
    let executors: Vec<String> = executors.names().iter().map(ToString::to_string).collect();
    info!(
        agent.id = agent_id,
        agent.name = config.name,
        slots = config.slots,
        executors = executors.join(","),
        work_dir = %config.work_dir.display(),
        "agent started"
    );
    v1::Hello {
        agent_id,
        boot_id: Uuid::new_v4().to_string(),
        name: config.name.clone(),
        host: config.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: config.slots.into(),
        executors,
        fetches_ahead: config.file_limits.fetches_ahead,
        reads_more: true,
        labels: config.labels.clone(),
        resources: config
            .resources
            .iter()
            .map(|(name, &n)| (name.clone(), i64::try_from(n).unwrap_or(i64::MAX)))
            .collect(),
        ..v1::Hello::default()
    }
}
