//! `AgentService`: agents for operators.

use std::sync::Arc;

use postq_common::id::AgentId;
use postq_proto::v1::{self, agent_service_server::AgentService};
use tonic::{Request, Response, Status};
use tracing::info;

use super::page::Page;
use crate::{
    dispatch::Roster,
    store::{AgentRow, Store},
    wire::{convert, status},
};

/// The service.
#[derive(Clone)]
pub struct AgentApi {
    /// The database.
    pub store: Store,
    /// The agents connected here.
    pub roster: Arc<Roster>,
}

impl AgentApi {
    async fn one_called(&self, name: &str) -> Result<AgentRow, Status> {
        let mut rows = self.store.agents_called(name).await.map_err(status::of_store)?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (None, _) => Err(Status::not_found(format!("no agent named {name:?} is connected"))),
            (Some(row), others) => Err(Status::failed_precondition(format!(
                "{} connected agents are named {name:?}; give the id of one, such as {}",
                others + 1,
                row.id
            ))),
        }
    }
}

#[tonic::async_trait]
impl AgentService for AgentApi {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let request = request.get_ref();
        let page = Page::of(request.page_size, &request.page_token)?;
        let rows = self.store.agents(request.all, page.after()?, page.size + 1).await;
        let mut rows = rows.map_err(status::of_store)?;
        let next_page_token = page.next(&mut rows, |row| row.id.to_string());
        let agents = rows.into_iter().map(convert::agent).collect();
        Ok(Response::new(v1::ListAgentsResponse { agents, next_page_token }))
    }

    async fn drain_agent(
        &self,
        request: Request<v1::DrainAgentRequest>,
    ) -> Result<Response<v1::DrainAgentResponse>, Status> {
        let v1::DrainAgentRequest { agent, timeout } = request.into_inner();
        let timeout = timeout
            .map(|timeout| postq_proto::convert::duration(&timeout))
            .transpose()
            .map_err(|error| status::bad_field("timeout", error.to_string()))?;
        let id = AgentId(self.one_called(&agent).await?.id);
        if !self.store.drain(id, timeout).await.map_err(status::of_store)? {
            return Err(Status::not_found(format!("agent {agent:?} has left")));
        }
        info!(agent.id = %id, agent.name = agent, "drain requested");
        // One that is connected here need not wait for the hint.
        self.roster.drain(id, timeout);
        let row = self.one_called(&id.to_string()).await?;
        Ok(Response::new(v1::DrainAgentResponse { agent: Some(convert::agent(row)) }))
    }
}
