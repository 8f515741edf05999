//! `postq agents`.

use clap::Args;
use postq_proto::v1::{Agent, ListAgentsRequest, ListAgentsResponse};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
};

/// List the agents that are connected.
#[derive(Args, Debug)]
pub struct Agents {
    /// Also those that have left.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Agents {
    /// Reads all pages.
    pub async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let agents = list(&coordinator, self.all).await?;
        let answer = ListAgentsResponse { agents, next_page_token: String::new() };
        self.output.print(&answer, |answer| text(&answer.agents))?;
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
    let headings = ["name", "host", "state", "running", "slots", "executors", "since", "version"];
    let mut table = output::table(headings);
    for agent in agents {
        let since = if agent.is_connected { &agent.connected_at } else { &agent.left_at };
        table.add_row([
            agent.name.clone(),
            agent.host.clone(),
            if agent.is_connected { "connected" } else { "left" }.to_owned(),
            agent.running.to_string(),
            agent.slots.to_string(),
            can_do(agent),
            output::time(since.as_ref()),
            agent.version.clone(),
        ]);
    }
    output::lines_of(&table)
}

fn can_do(agent: &Agent) -> String {
    let handlers = agent.handlers.iter().map(|handler| format!("handler:{handler}"));
    agent.executors.iter().cloned().chain(handlers).collect::<Vec<_>>().join(",")
}
