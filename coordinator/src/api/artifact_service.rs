//! `ArtifactService`: the files that stay when their job is forgotten, listed and given up.

use postq_proto::v1::{self, artifact_service_server::ArtifactService};
use tonic::{Request, Response, Status};
use tracing::info;

use super::page::Page;
use crate::{
    store::Store,
    wire::{convert, status},
};

/// The service.
#[derive(Clone, Debug)]
pub struct ArtifactApi {
    /// The database.
    pub store: Store,
}

#[tonic::async_trait]
impl ArtifactService for ArtifactApi {
    async fn list_artifacts(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<v1::ListArtifactsResponse>, Status> {
        let request = request.get_ref();
        let page = Page::of(request.page_size, &request.page_token)?;
        let rows = self.store.artifacts(page.after()?, page.size + 1).await;
        let mut rows = rows.map_err(status::of_store)?;
        let next_page_token = page.next(&mut rows, |row| row.job.to_string());
        let artifacts = rows.into_iter().map(convert::artifacts).collect();
        Ok(Response::new(v1::ListArtifactsResponse { artifacts, next_page_token }))
    }

    async fn delete_artifacts(
        &self,
        request: Request<v1::DeleteArtifactsRequest>,
    ) -> Result<Response<v1::DeleteArtifactsResponse>, Status> {
        let job = convert::job_id("job_id", &request.get_ref().job_id)?;
        match self.store.delete_artifacts(job).await.map_err(status::of_store)? {
            true => {
                info!(job.id = %job, "artifacts deleted");
                Ok(Response::new(v1::DeleteArtifactsResponse {}))
            }
            false => Err(Status::not_found(format!("job {job} has no artifacts"))),
        }
    }
}
