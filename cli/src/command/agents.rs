//! `postq agents`.

use std::time::Duration;

use clap::{Args, Subcommand};
use postq_common::spec::{CPUS, MEMORY};
use postq_proto::v1::{
    Agent, DrainAgentRequest, DrainAgentResponse, ListAgentsRequest, ListAgentsResponse,
};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
};

/// List the agents that are connected, or make one leave.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Agents {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Also those that have left.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an agent take nothing new, end or hand back what it runs, and leave.
    Drain(Drain),
}

#[derive(Args, Debug)]
struct Drain {
    /// The agent's name or id.
    agent: String,
    /// How long what it runs may go on before it is handed back [default: as the agent was told].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Agents {
    /// Reads all pages, or does as the sub-command says.
    pub async fn run(self) -> Result<Exit, Failure> {
        if let Some(Verb::Drain(drain)) = self.verb {
            return drain.run().await;
        }
        let coordinator = self.connection.open()?;
        let agents = list(&coordinator, self.all).await?;
        let answer = ListAgentsResponse { agents, next_page_token: String::new() };
        self.output.print(&answer, |answer| text(&answer.agents))?;
        Ok(Exit::Success)
    }
}

impl Drain {
    async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let timeout = self.timeout.map(Into::into);
        let request = DrainAgentRequest { agent: self.agent, timeout };
        let answer: DrainAgentResponse = coordinator
            .agents()
            .drain_agent(bounded(request))
            .await
            .map_err(|status| Failure::from_status(&status, "drain the agent", coordinator.url()))?
            .into_inner();
        self.output.print(&answer, |answer| {
            let agent = answer.agent.clone().unwrap_or_default();
            format!("{} takes nothing new; it runs {}", agent.name, agent.running)
        })?;
        Ok(Exit::Success)
    }
}

/// The agents that are connected, or all that are known.
pub async fn list(coordinator: &Coordinator, all: bool) -> Result<Vec<Agent>, Failure> {
    let mut agents = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAgentsRequest { all, page_size: 1000, page_token };
        let page = coordinator.agents().list_agents(bounded(request)).await;
        let page = page
            .map_err(|status| Failure::from_status(&status, "list agents", coordinator.url()))?
            .into_inner();
        agents.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(agents);
        }
    }
}

fn text(agents: &[Agent]) -> String {
    if agents.is_empty() {
        return "no agents; start one with `postq-agent --coordinator URL`".to_owned();
    }
    let headings = [
        "name",
        "host",
        "state",
        "running",
        "slots",
        "executors",
        "labels",
        "in use",
        "last seen",
        "version",
    ];
    let mut table = output::table(headings);
    for agent in agents {
        table.add_row([
            agent.name.clone(),
            agent.host.clone(),
            state(agent).to_owned(),
            agent.running.to_string(),
            agent.slots.to_string(),
            can_do(agent),
            labels(agent),
            in_use(agent),
            output::time(agent.last_seen_at.as_ref()),
            agent.version.clone(),
        ]);
    }
    output::lines_of(&table)
}

fn state(agent: &Agent) -> &'static str {
    match (agent.is_connected, agent.is_draining) {
        (false, _) => "left",
        (true, true) => "draining",
        (true, false) => "connected",
    }
}

fn can_do(agent: &Agent) -> String {
    let handlers = agent.handlers.iter().map(|handler| format!("handler:{handler}"));
    agent.executors.iter().cloned().chain(handlers).collect::<Vec<_>>().join(",")
}

fn labels(agent: &Agent) -> String {
    let pairs = agent.labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// `cpus 1.5/4, memory 1.0/8.0 GiB, gpus 0/2`.
fn in_use(agent: &Agent) -> String {
    let part = |(name, &all): (&String, &i64)| {
        let used = agent.resources_in_use.get(name).copied().unwrap_or_default();
        match name.as_str() {
            CPUS => format!("{name} {}/{}", used as f64 / 1000.0, all as f64 / 1000.0),
            MEMORY => format!("{name} {:.1}/{:.1} GiB", gibibytes(used), gibibytes(all)),
            _ => format!("{name} {used}/{all}"),
        }
    };
    agent.resources.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn gibibytes(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_tells_what_an_agent_has_and_what_of_it_is_in_use() {
        let amounts = |all: &[(&str, i64)]| all.iter().map(|&(n, a)| (n.to_owned(), a)).collect();
        let agent = Agent {
            name: "a1".to_owned(),
            is_connected: true,
            is_draining: true,
            labels: [("gpu".to_owned(), "t4".to_owned())].into(),
            resources: amounts(&[("cpus", 4000), ("gpus", 2), ("memory", 8 << 30)]),
            resources_in_use: amounts(&[("cpus", 1500), ("memory", 1 << 30)]),
            ..Agent::default()
        };
        let text = text(&[agent]);
        for part in ["draining", "gpu=t4", "cpus 1.5/4, gpus 0/2, memory 1.0/8.0 GiB"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
