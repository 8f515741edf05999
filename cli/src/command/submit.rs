//! `postq submit FILE`.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use chrono::DateTime;
use clap::Args;
use pbjson_types::Timestamp;
use postq_proto::v1::{JobSpec, SubmitJobRequest, SubmitJobResponse};
use postq_runtime::Shutdown;
use tonic::{Code, Status};
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
    /// Not before this time: RFC 3339, as 2026-01-31T08:00:00+01:00. Instead of what the document says.
    #[arg(long, value_name = "TIME", conflicts_with = "delay", value_parser = time)]
    run_at: Option<Timestamp>,
    /// Not before so much later, as 90s, 15m or 1h 30m. Instead of what the document says.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    delay: Option<pbjson_types::Duration>,
    /// How long to wait for room in a queue that holds as many jobs as it may, as 30s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait_for_room: Option<Duration>,
    /// Refuse the job where nobody has declared its queue.
    #[arg(long)]
    require_queue: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// A longer wait takes several calls, each of which is answered in time.
const WAIT_OF_ONE_CALL: Duration = Duration::from_secs(20);

/// The queue holds as many jobs as it may.
fn is_full(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
}

/// A time with its zone.
fn time(text: &str) -> Result<Timestamp, String> {
    let at = DateTime::parse_from_rfc3339(text);
    at.map(|at| at.to_utc().into()).map_err(|error| {
        format!("{error}; write date, time and zone, as 2026-01-31T08:00:00+01:00")
    })
}

/// Jobs in a second. None in a second is refused: on the wire it means all at once.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "write a number of jobs in a second".to_owned())?;
    if rate > 0.0 {
        Ok(rate)
    } else {
        Err("write more than 0, or leave it out for all at once".to_owned())
    }
}

/// A duration as people write it.
pub fn delay(text: &str) -> Result<pbjson_types::Duration, String> {
    let length = humantime::parse_duration(text);
    length
        .map(Into::into)
        .map_err(|error| format!("{error}; write a number with its unit, as 90s, 15m or 1h 30m"))
}

impl Submit {
    /// Sends the files first, then the document.
    pub async fn run(self) -> Result<Exit, Failure> {
        let mut spec = self.document.read()?.spec;
        if self.run_at.is_some() || self.delay.is_some() {
            (spec.run_at, spec.delay) = (self.run_at, self.delay);
        }
        let coordinator = self.connection.open()?;
        if let Some(directory) = &self.workspace {
            spec.input = files::upload(&coordinator, directory).await?;
        }
        let wait = self.wait_for_room.unwrap_or_default();
        let answer = submit_to(&coordinator, spec, wait, self.require_queue).await?;
        if !answer.created {
            eprintln!("another job holds the unique key; it is this one");
        }
        if !self.watch {
            self.output.print(&answer, |answer| answer.id.clone())?;
            return Ok(Exit::Success);
        }
        let id = answer.id;
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

/// Submits under an id minted here, so that it may be sent again when an answer was lost: the job is
/// new unless another one has its key.
pub async fn submit(
    coordinator: &Coordinator,
    spec: JobSpec,
) -> Result<SubmitJobResponse, Failure> {
    submit_to(coordinator, spec, Duration::ZERO, false).await
}

/// The same; waits so long for room in the job's queue, which may have to be declared.
async fn submit_to(
    coordinator: &Coordinator,
    spec: JobSpec,
    wait: Duration,
    require_queue: bool,
) -> Result<SubmitJobResponse, Failure> {
    let id = Uuid::now_v7().to_string();
    let mut request =
        SubmitJobRequest { job: Some(spec), id: id.clone(), wait: None, require_queue };
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(3)
        .with_jitter();
    let until = Instant::now() + wait;
    let answer = loop {
        let left = until.saturating_duration_since(Instant::now());
        request.wait = (!left.is_zero()).then(|| left.min(WAIT_OF_ONE_CALL).into());
        let attempt = || async { coordinator.jobs().submit_job(bounded(request.clone())).await };
        let answer =
            attempt.retry(pauses).when(|status| is_transient(status) && !is_full(status)).await;
        match answer {
            Err(status) if is_full(&status) && Instant::now() < until => {}
            answer => break answer,
        }
    };
    answer
        .map(|answer| answer.into_inner())
        .map(|answer| SubmitJobResponse { created: answer.id == id, ..answer })
        .map_err(|status| Failure::from_status(&status, "submit the job", coordinator.url()))
}
