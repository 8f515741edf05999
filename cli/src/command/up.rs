//! `postq up`: a private cluster that stays until Ctrl-C, and keeps its data.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use postq_runtime::Shutdown;

use crate::{
    client::token_of,
    command::migrate,
    embedded::{
        Agents, Binaries, Cluster, ClusterConfig, ClusterTokens, Durability,
        directory::{self, StateDirectory},
    },
    failure::{Exit, Failure},
    output,
};

/// Keep a Postgres, a coordinator and agents running here until Ctrl-C.
#[derive(Args, Debug)]
pub struct Up {
    /// How many agents.
    #[arg(long, env = "POSTQ_AGENTS", default_value_t = 2, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(0..=100))]
    agents: u16,
    /// How many tasks each agent runs at once; the agent's own default otherwise.
    #[arg(long, env = "POSTQ_SLOTS", value_name = "COUNT")]
    slots: Option<u32>,
    /// Where the coordinator listens.
    #[arg(long, env = "POSTQ_LISTEN", default_value = "127.0.0.1:7432", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Tokens that the coordinator accepts; needed for an address other than the loopback.
    #[arg(long, env = "POSTQ_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Listen on any address without tokens.
    #[arg(long)]
    insecure: bool,
    /// Database to use instead of a private Postgres.
    #[arg(long, env = "POSTQ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
}

impl Up {
    /// Runs until it is told to stop or something cannot be kept running.
    pub async fn run(self) -> Result<Exit, Failure> {
        let shutdown = Shutdown::new();
        shutdown
            .begin_on_signal()
            .map_err(|error| Failure::new(Exit::Machine, format!("no signal handlers: {error}")))?;
        let interrupted = shutdown.token();
        let state = StateDirectory::open_default()?;
        let config = self.config(&state)?;
        if let Some(url) = &self.database_url {
            migrate::apply(url).await?;
        }
        let mut cluster = tokio::select! {
            cluster = Cluster::start(config) => cluster?,
            () = interrupted.cancelled() => return Ok(Exit::Interrupted),
        };
        output::print(&self.told(&cluster))?;
        let ended = tokio::select! {
            error = cluster.tend(|line| eprintln!("postq: {line}")) => Err(error.into()),
            () = interrupted.cancelled() => Ok(Exit::Success),
        };
        cluster.stop().await;
        ended
    }

    fn told(&self, cluster: &Cluster) -> String {
        let endpoint = cluster.endpoint();
        format!(
            "coordinator  {endpoint}\ndatabase     {}\nagents       {}\nlogs         {}\n\n\
             Submit with\n  postq submit --coordinator {endpoint} --watch FILE\n\
             Ctrl-C stops everything and keeps the data.",
            if self.database_url.is_some() { "as given" } else { cluster.database_url() },
            self.agents,
            cluster.logs().display(),
        )
    }

    fn config(&self, state: &StateDirectory) -> Result<ClusterConfig, Failure> {
        let mut coordinator_arguments = Vec::new();
        if self.insecure {
            coordinator_arguments.push("--insecure".into());
        }
        Ok(ClusterConfig {
            binaries: Binaries::locate()?,
            directory: state.path().to_owned(),
            durability: Durability::Durable,
            store: self.database_url.as_deref().map(directory::store_of).transpose()?,
            database_url: self.database_url.clone(),
            listen: Some(self.listen),
            agents: Agents { count: self.agents.into(), slots: self.slots, executors: None },
            tokens: self.token_file.as_deref().map(tokens_of).transpose()?,
            coordinator_arguments,
            environment: Vec::new(),
        })
    }
}

/// Ours among the tokens of the coordinator's file.
fn tokens_of(file: &Path) -> Result<ClusterTokens, Failure> {
    let (client, agent) = (token_of(file, "client")?, token_of(file, "agent")?);
    Ok(ClusterTokens { file: file.to_owned(), client, agent })
}
