//! A cluster from its start to its end.
//!
//! Invariant: a [`Cluster`] that was started answers at its endpoint, and all its agents were
//! connected.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use futures::future::{join_all, select_all};
use tokio::time::{Instant, sleep};

use super::{
    agent,
    config::ClusterConfig,
    coordinator,
    ready::{LOOK_EVERY, START_LIMIT, client, connected, endpoint},
};
use crate::{
    client::Coordinator,
    embedded::{Daemon, EmbeddedError, Postgres, directory::create_passable},
};

/// How often members that end by themselves are started anew before something must be wrong.
const RESTARTS: usize = 10;
/// After so long without a restart all is well again.
const CALM: Duration = Duration::from_secs(600);

/// Which process of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Postgres,
    Coordinator,
    Agent(usize),
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
        create_passable(&config.logs())?;
        let postgres = match config.database_url {
            Some(_) => None,
            None => Some(Postgres::start(config.postgres()).await?),
        };
        let database_url = match (&config.database_url, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(postgres)) => postgres.url(),
            (None, None) => unreachable!("a private Postgres was started"),
        };
        let (coordinator, address) = coordinator::start(&config, &database_url).await?;
        let mut cluster =
            Self { config, postgres, database_url, address, coordinator, agents: Vec::new() };
        for number in 0..cluster.config.agents.count {
            let agent = agent::spawn(&cluster.config, cluster.endpoint(), number).await?;
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
        self.config.logs()
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
        agent::directory(&self.config, number)
    }

    /// Starts an agent that was stopped or killed anew, in its old directory.
    pub async fn restart_agent(&mut self, number: usize) -> Result<(), EmbeddedError> {
        self.agents[number].stop().await;
        self.agents[number] = agent::spawn(&self.config, self.endpoint(), number).await?;
        Ok(())
    }

    /// Starts the coordinator that was stopped or killed anew, at its old address.
    pub async fn restart_coordinator(&mut self) -> Result<(), EmbeddedError> {
        self.coordinator.stop().await;
        let (config, url) = (&self.config, &self.database_url);
        self.coordinator = coordinator::spawn(config, url, self.address).await?;
        coordinator::wait(config, &mut self.coordinator, self.address).await
    }

    /// Starts a coordinator or an agent that ended by itself anew, telling `say` about it, until
    /// Postgres ended or one of them did too often.
    pub async fn tend(&mut self, say: impl Fn(&str)) -> EmbeddedError {
        let mut left = RESTARTS;
        loop {
            let since = Instant::now();
            let (which, error) = self.first_end().await;
            if since.elapsed() >= CALM {
                left = RESTARTS;
            }
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
