//! `postq workspace artifacts`: files that stay when their job is forgotten.

use clap::{Args, Subcommand};
use postq_proto::v1::{
    Artifacts as Row, DeleteArtifactsRequest, ListArtifactsRequest, ListArtifactsResponse,
};

use crate::{
    client::{Connection, Coordinator, bounded},
    failure::{Exit, Failure},
    output::{self, Output},
    watch::words,
};

/// List the jobs with artifacts, or forget those of one. `postq workspace ls|get JOB --artifacts` shows
/// and fetches them.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Artifacts {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Forget the artifacts of a job.
    Delete(Delete),
}

#[derive(Args, Debug)]
struct Delete {
    /// The job's id.
    job: String,
    #[command(flatten)]
    connection: Connection,
}

impl Artifacts {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        if let Some(Verb::Delete(delete)) = self.verb {
            return delete.run().await;
        }
        let coordinator = self.connection.open()?;
        let artifacts = list(&coordinator).await?;
        let answer = ListArtifactsResponse { artifacts, next_page_token: String::new() };
        self.output.print(&answer, |answer| text(&answer.artifacts))?;
        Ok(Exit::Success)
    }
}

impl Delete {
    async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let request = DeleteArtifactsRequest { job_id: self.job };
        let answer = coordinator.artifacts().delete_artifacts(bounded(request)).await;
        answer.map_err(|status| {
            Failure::from_status(&status, "delete the artifacts", coordinator.url())
        })?;
        Ok(Exit::Success)
    }
}

async fn list(coordinator: &Coordinator) -> Result<Vec<Row>, Failure> {
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListArtifactsRequest { page_size: 1000, page_token };
        let page = coordinator.artifacts().list_artifacts(bounded(request)).await;
        let page = page
            .map_err(|status| Failure::from_status(&status, "list artifacts", coordinator.url()))?
            .into_inner();
        rows.extend(page.artifacts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(rows);
        }
    }
}

fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no artifacts; a job says with `artifacts` which of its files are to stay"
            .to_owned();
    }
    let mut table = output::table(["job", "name", "state", "finished", "files", "bytes", "reason"]);
    for row in rows {
        table.add_row([
            row.job_id.clone(),
            row.job_name.clone(),
            words::job_state(row.job_state()),
            output::time(row.finished_at.as_ref()),
            row.files.to_string(),
            row.bytes.to_string(),
            row.reason.clone(),
        ]);
    }
    output::lines_of(&table)
}
