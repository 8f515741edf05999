//! The page: checkout -> execute -> snapshot -> report, each step ended early by a [`StopSignal`].
//!
//! Invariant: when [`Runner::run`] returns, nothing of the attempt runs any more and none of its
//! scratch files is left.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use postq_proto::v1::{self, assignment::Executor};
use postq_runtime::{Shutdown, telemetry};
use tokio::sync::Semaphore;
use tracing::{Instrument, Span, info, info_span, warn};

use super::{
    disk, environment,
    files::{Files, Unfetched},
    verdict::{self, held},
};
use crate::{
    executor::{Cause, Ended, Executors, Finished, Limits, Program, Task, supervise},
    logs::{LogLimits, LogWriter, Output, Shelf, Stream, Written},
    scratch::Scratch,
    stop::StopSignal,
};

/// Where the task says nothing.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// The report follows the last chunk of output; a coordinator that does not take logs holds it
/// back no longer than this.
const LOGS_BEFORE_REPORT: Duration = Duration::from_millis(1500);

/// Runs attempts, a bounded number at once.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) executors: Executors,
    pub(crate) files: Files,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) log_limits: LogLimits,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
}

/// Where an attempt runs.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// For the files that end with it.
    pub(crate) scratch_dir: PathBuf,
    /// The agent's name.
    pub(crate) agent: &'a str,
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It has ended. None: nobody wants a report.
    Ended(Option<Box<v1::Report>>),
    /// Its command was never begun, because the agent's own disk failed; this is how.
    NoDisk(String),
}

/// Why the steps of an attempt ended before a command did.
enum Early {
    Finished(Finished),
    NoDisk(String),
}

impl From<Finished> for Early {
    fn from(finished: Finished) -> Self {
        Self::Finished(finished)
    }
}

impl From<Ended> for Early {
    fn from(ended: Ended) -> Self {
        Self::Finished(Finished { ended, cause: Cause::Itself, ran_for: Duration::ZERO })
    }
}

/// A run that has ended, with what it left.
struct Run {
    finished: Finished,
    written: Written,
    snapshot: Option<v1::Snapshot>,
}

impl Runner {
    /// Runs one attempt to its end.
    pub(crate) async fn run(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        stop: StopSignal,
    ) -> Ran {
        let span = info_span!(
            "attempt",
            attempt.id = assignment.attempt,
            job.id = assignment.job_id,
            task.name = assignment.task_name,
        );
        let given = Some(assignment.traceparent.as_str()).filter(|given| !given.is_empty());
        let traceparent = telemetry::continue_trace(&span, given);
        self.run_inside(assignment, place, stop, traceparent).instrument(span).await
    }

    async fn run_inside(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        mut stop: StopSignal,
        traceparent: Option<String>,
    ) -> Ran {
        let ran = self.steps(assignment, &place, &mut stop, traceparent).await;
        remove_scratch(place.scratch_dir).await;
        let run = match ran {
            Ok(run) => run,
            Err(Early::Finished(finished)) => {
                Run { finished, written: Written::default(), snapshot: None }
            }
            Err(Early::NoDisk(why)) => return Ran::NoDisk(why),
        };
        let timeout = verdict::from_proto(assignment.timeout.as_ref());
        let Some(mut report) = verdict::judge(held(assignment), &run.finished, timeout) else {
            return Ran::Ended(None);
        };
        report.log_chunks = run.written.chunks;
        report.stdout = run.written.stdout;
        report.stderr = run.written.stderr;
        report.output = run.snapshot;
        info!(outcome = report.outcome().as_str_name(), reason = report.reason, "task ended");
        Ran::Ended(Some(Box::new(report)))
    }

    async fn steps(
        &self,
        assignment: &v1::Assignment,
        place: &Place<'_>,
        stop: &mut StopSignal,
        traceparent: Option<String>,
    ) -> Result<Run, Early> {
        let _slot = unless_stopped(stop, self.slots.acquire()).await?;
        let task = prepare(assignment, place, traceparent.as_deref())?;
        let workspace = task.scratch.workspace();
        if let Some(input) = &assignment.input {
            let checkout = self.files.checkout(input, &workspace);
            unless_stopped(stop, checkout).await?.map_err(unfetched)?;
        }
        unless_stopped(stop, self.executors.prepare(&task)).await??;
        let (log, output) =
            LogWriter::start(&self.shutdown, self.shelf.clone(), held(assignment), self.log_limits);
        let mut finished = self.execute(assignment, &task, stop, (&log, output.clone())).await?;
        note_full_disk(&mut finished, &place.scratch_dir);
        let snapshot = self.keep_files(assignment, &workspace, stop, &mut finished, output).await;
        let written = log.finish().await;
        let pushed = self.shelf.is_pushed(assignment.attempt);
        let _ = tokio::time::timeout(LOGS_BEFORE_REPORT, pushed).await;
        Ok(Run { finished, written, snapshot })
    }

    async fn execute(
        &self,
        assignment: &v1::Assignment,
        task: &Task,
        stop: &mut StopSignal,
        (log, output): (&LogWriter, Output),
    ) -> Result<Finished, Early> {
        let limits = Limits {
            timeout: verdict::from_proto(assignment.timeout.as_ref()),
            grace: verdict::from_proto(assignment.grace.as_ref()).unwrap_or(DEFAULT_GRACE),
        };
        let running = match self.executors.start(task, output).await {
            Ok(running) => running,
            Err(ended) => return Err(not_begun(ended, &task.scratch.workspace())),
        };
        info!(executor = assignment.executor().as_str_name(), "task started");
        Ok(supervise(running, limits, stop, &log.unbounded()).await)
    }

    /// What a successful task left; a failure to keep it is the task's failure.
    async fn keep_files(
        &self,
        assignment: &v1::Assignment,
        workspace: &Path,
        stop: &mut StopSignal,
        finished: &mut Finished,
        output: Output,
    ) -> Option<v1::Snapshot> {
        let input = assignment.input.as_ref().filter(|_| has_succeeded(finished))?;
        let snapshot = self.files.snapshot(input, workspace, assignment.task);
        match unless_stopped(stop, snapshot).await {
            Ok(Ok(taken)) => {
                for warning in taken.warnings {
                    let line = Bytes::from(format!("postq: {warning}\n"));
                    output.write(Stream::System, line).await;
                }
                Some(taken.snapshot)
            }
            Ok(Err(why)) => {
                finished.ended = Ended::Unknown(format!("its files could not be kept: {why}"));
                None
            }
            Err(stopped) => {
                finished.cause = stopped.cause;
                None
            }
        }
    }
}

fn prepare(
    assignment: &v1::Assignment,
    place: &Place<'_>,
    traceparent: Option<&str>,
) -> Result<Task, Early> {
    let scratch = tokio::task::block_in_place(|| Scratch::create(place.scratch_dir.clone()))
        .map_err(|error| Early::NoDisk(format!("no directory could be made for it: {error}")))?;
    let command = assignment.command.clone();
    let (program, env) = match assignment.executor() {
        Executor::Shell => {
            let env = environment::for_shell(assignment, place.agent, traceparent, &scratch);
            (Program::Shell { command }, env)
        }
        Executor::Docker => {
            let command = Some(command).filter(|command| !command.is_empty());
            let env = environment::promised(assignment, place.agent, traceparent);
            (Program::Docker { image: assignment.image.clone(), command }, env)
        }
        Executor::Handler | Executor::Unspecified => {
            return Err(not_started("this agent runs commands, not handlers".to_owned()).into());
        }
    };
    Ok(Task {
        attempt: assignment.attempt,
        job_id: assignment.job_id.clone(),
        task_name: assignment.task_name.clone(),
        program,
        env,
        scratch,
    })
}

/// The work, or the word that ended it before.
async fn unless_stopped<T>(
    stop: &mut StopSignal,
    work: impl Future<Output = T>,
) -> Result<T, Finished> {
    tokio::select! {
        biased;
        stop = stop.requested() => Err(Finished {
            ended: not_started("it was stopped before it started".to_owned()),
            cause: Cause::Stopped(stop),
            ran_for: Duration::ZERO,
        }),
        done = work => Ok(done),
    }
}

fn has_succeeded(finished: &Finished) -> bool {
    finished.cause == Cause::Itself && matches!(finished.ended, Ended::Exited { code: 0, .. })
}

fn not_started(why: String) -> Ended {
    Ended::NotStarted { why, is_final: false }
}

fn unfetched(why: Unfetched) -> Early {
    let tell = |why| format!("its files could not be fetched: {why}");
    match why {
        Unfetched::NoDisk(why) => Early::NoDisk(tell(why)),
        Unfetched::Failed(why) => not_started(tell(why)).into(),
    }
}

/// Who could not be started, on a disk that takes no writes, is not to blame.
fn not_begun(ended: Ended, dir: &Path) -> Early {
    if let Ended::NotStarted { why, is_final: false } = &ended
        && let Err(error) = tokio::task::block_in_place(|| disk::probe(dir))
    {
        return Early::NoDisk(format!("{why} ({error})"));
    }
    ended.into()
}

/// A task that fails on a full disk most likely fails because of it.
fn note_full_disk(finished: &mut Finished, scratch_dir: &Path) {
    if let Ended::Exited { code: 1.., note } = &mut finished.ended
        && note.is_empty()
        && tokio::task::block_in_place(|| disk::is_full(scratch_dir))
    {
        note.push_str("the disk of its agent is full");
    }
}

async fn remove_scratch(dir: PathBuf) {
    let span = Span::current();
    let removed = tokio::task::spawn_blocking(move || crate::scratch::remove_tree(&dir)).await;
    if let Ok(Err(error)) = removed {
        span.in_scope(|| warn!(%error, "files of the attempt could not be removed"));
    }
}
