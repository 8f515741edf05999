//! `postq submit FILE`.

use std::{path::PathBuf, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use clap::Args;
use postq_proto::v1::{JobSpec, SubmitJobRequest, SubmitJobResponse};
use postq_runtime::Shutdown;
use uuid::Uuid;

use crate::{
    client::{Connection, Coordinator, bounded},
    document::Document,
    failure::{Exit, Failure, is_transient},
    files,
    output::Output,
    watch::{self, Shown},
};

/// Submit a job and print its id.
#[derive(Args, Debug)]
pub struct Submit {
    #[command(flatten)]
    document: Document,
    /// Show the job until it has ended; the exit code then tells how.
    #[arg(long)]
    watch: bool,
    /// With --watch: do not print what the tasks write.
    #[arg(long, requires = "watch")]
    no_logs: bool,
    /// Directory whose files the first tasks start from.
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Submit {
    /// Sends the files first, then the document.
    pub async fn run(self) -> Result<Exit, Failure> {
        let mut spec = self.document.read()?.spec;
        let coordinator = self.connection.open()?;
        if let Some(directory) = &self.workspace {
            spec.input = files::upload(&coordinator, directory).await?;
        }
        let id = submit(&coordinator, spec).await?;
        if !self.watch {
            self.output.print(&SubmitJobResponse { id }, |answer| answer.id.clone())?;
            return Ok(Exit::Success);
        }
        let shown = Shown { json: self.output.is_json(), logs: !self.no_logs };
        let shutdown = Shutdown::new();
        shutdown
            .begin_on_signal()
            .map_err(|error| Failure::new(Exit::Machine, format!("no signal handlers: {error}")))?;
        tokio::select! {
            board = watch::follow(&coordinator, &id, shown) => Ok(watch::exit_of(&board?)),
            () = shutdown.token().cancelled_owned() => {
                let line = format!("job {id} goes on; see `postq get {id}` or `postq cancel {id}`");
                Err(Failure::new(Exit::Interrupted, line))
            }
        }
    }
}

/// Submits under an id minted here, so that it may be sent again when an answer was lost.
pub async fn submit(coordinator: &Coordinator, spec: JobSpec) -> Result<String, Failure> {
    let request = SubmitJobRequest { job: Some(spec), id: Uuid::now_v7().to_string() };
    let attempt = || async { coordinator.jobs().submit_job(bounded(request.clone())).await };
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(3)
        .with_jitter();
    let answer = attempt.retry(pauses).when(is_transient).await;
    answer
        .map(|answer| answer.into_inner().id)
        .map_err(|status| Failure::from_status(&status, "submit the job", coordinator.url()))
}
