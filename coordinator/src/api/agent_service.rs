//! `AgentService`: agents for operators.

use postq_proto::v1::{self, agent_service_server::AgentService};
use tonic::{Request, Response, Status};

use super::page::Page;
use crate::{
    store::Store,
    wire::{convert, status},
};

/// The service.
#[derive(Clone)]
pub struct AgentApi {
    /// The database.
    pub store: Store,
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
}
