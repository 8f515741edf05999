//! The page: checkout -> execute -> snapshot -> report, each step ended early by a [`StopSignal`].
//!
//! Invariant: when [`Runner::run`] returns, nothing of the attempt runs any more and none of its
//! scratch files is left.

use std::{
    fs,
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
    papers,
    verdict::{self, held},
};
use crate::{
    executor::{
        Cause, DockerProgram, Ended, Executors, Finished, Limits, Program, Resumed, Task, supervise,
    },
    gpus::{self, Given, Gpus},
    logs::{LogLimits, LogWriter, Output, Secrets, Shelf, Stream, Written},
    scratch::Scratch,
    secrets::SecretSource,
    stop::StopSignal,
    workspace::Effort,
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
    pub(crate) gpus: Gpus,
    pub(crate) secrets: SecretSource,
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

/// Where an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Anew,
    /// An earlier life of the agent has started it.
    Again,
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
    /// What its files took.
    effort: Option<Effort>,
    /// The JSON it gave.
    result: Vec<u8>,
    /// What the image of its container was.
    image: Option<String>,
    /// What nobody is to hear of.
    secrets: Secrets,
}

impl From<Finished> for Run {
    fn from(finished: Finished) -> Self {
        let written = Written::default();
        let (result, secrets) = (Vec::new(), Secrets::default());
        let (snapshot, effort, image) = (None, None, None);
        Self { finished, written, snapshot, effort, result, image, secrets }
    }
}

impl Runner {
    /// Runs one attempt to its end.
    pub(crate) async fn run(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        stop: StopSignal,
    ) -> Ran {
        self.traced(assignment, place, stop, Begin::Anew).await
    }

    /// Goes on to the end of an attempt that an earlier life of the agent has begun.
    pub(crate) async fn resume(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        stop: StopSignal,
    ) -> Ran {
        self.traced(assignment, place, stop, Begin::Again).await
    }

    async fn traced(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        stop: StopSignal,
        begin: Begin,
    ) -> Ran {
        let span = info_span!(
            "attempt",
            attempt.id = assignment.attempt,
            job.id = assignment.job_id,
            task.name = assignment.task_name,
        );
        let given = Some(assignment.traceparent.as_str()).filter(|given| !given.is_empty());
        let traceparent = telemetry::continue_trace(&span, given);
        self.run_inside(assignment, place, stop, (begin, traceparent)).instrument(span).await
    }

    async fn run_inside(
        &self,
        assignment: &v1::Assignment,
        place: Place<'_>,
        mut stop: StopSignal,
        (begin, traceparent): (Begin, Option<String>),
    ) -> Ran {
        let ran = self.steps(assignment, &place, &mut stop, (begin, traceparent)).await;
        if ran.is_err() && begin == Begin::Again {
            // Nobody has followed it to its end.
            self.executors.discard(assignment.attempt).await;
        }
        remove_scratch(place.scratch_dir).await;
        let run = match ran {
            Ok(run) => run,
            Err(Early::Finished(finished)) => Run::from(finished),
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
        report.effort = run.effort.as_ref().map(verdict::effort);
        report.result = run.result;
        report.image = run.image.unwrap_or_default();
        report.reason = run.secrets.mask(&report.reason);
        info!(outcome = report.outcome().as_str_name(), reason = report.reason, "task ended");
        Ran::Ended(Some(Box::new(report)))
    }

    async fn steps(
        &self,
        assignment: &v1::Assignment,
        place: &Place<'_>,
        stop: &mut StopSignal,
        (begin, traceparent): (Begin, Option<String>),
    ) -> Result<Run, Early> {
        let _slot = unless_stopped(stop, self.slots.acquire()).await?;
        let mut task = prepare(assignment, place, begin, traceparent.as_deref())?;
        let secrets = self.put_secrets(assignment, begin, &mut task)?;
        let _gpus = self.give_gpus(assignment.attempt, stop, &mut task).await?;
        let workspace = task.scratch.workspace();
        if let (Some(input), Begin::Anew) = (&assignment.input, begin) {
            let checkout = self.files.checkout(input, &workspace);
            unless_stopped(stop, checkout).await?.map_err(unfetched)?;
        }
        let (log, output) = self.start_log(assignment, &secrets);
        let executed = match begin {
            Begin::Anew => self.execute(assignment, &task, stop, (&log, &output)).await,
            Begin::Again => self.go_on(assignment, &task, stop, (&log, &output)).await,
        };
        let mut run = match executed {
            Ok(run) => run,
            Err(Early::Finished(finished)) => Run::from(finished),
            Err(no_disk) => return Err(no_disk),
        };
        note_full_disk(&mut run.finished, &place.scratch_dir);
        run.result = take_output(&mut run.finished, &task.scratch, &secrets);
        run.effort = self.files.effort_of(&workspace);
        self.keep_files(assignment, &workspace, stop, &mut run, output).await;
        run.written = log.finish().await;
        let pushed = self.shelf.is_pushed(assignment.attempt);
        let _ = tokio::time::timeout(LOGS_BEFORE_REPORT, pushed).await;
        run.secrets = secrets;
        Ok(run)
    }

    fn start_log(&self, assignment: &v1::Assignment, secrets: &Secrets) -> (LogWriter, Output) {
        let (shelf, of) = (self.shelf.clone(), held(assignment));
        LogWriter::start(&self.shutdown, shelf, of, self.log_limits, secrets)
    }

    /// Puts the secrets into the environment of the task; what is to be masked from then on.
    fn put_secrets(
        &self,
        assignment: &v1::Assignment,
        begin: Begin,
        task: &mut Task,
    ) -> Result<Secrets, Early> {
        let Some(spec) = assignment.spec.as_ref().filter(|spec| !spec.secrets.is_empty()) else {
            return Ok(Secrets::default());
        };
        let resolved = tokio::task::block_in_place(|| self.secrets.resolve(&spec.secrets));
        let values = match resolved {
            Ok(values) => values,
            // It has them already, and this agent lost them: it is not let go on unmasked.
            Err(why) if begin == Begin::Again => {
                let ended = Ended::Unknown(format!("the agent was restarted without its {why}"));
                return Err(ended.into());
            }
            Err(why) => return Err(not_started(why).into()),
        };
        let secrets = Secrets::new(values.values().map(String::as_str));
        for (name, value) in values {
            // The agent's own variables win over all.
            if !name.starts_with("POSTQ_") {
                task.env.insert(name, value);
            }
        }
        Ok(secrets)
    }

    /// Gives the task the GPUs that it asked for, and lets it see no others; they are its own as long as the
    /// answer is kept.
    async fn give_gpus(
        &self,
        attempt: i64,
        stop: &mut StopSignal,
        task: &mut Task,
    ) -> Result<Option<Given>, Early> {
        if !self.gpus.are_counted() {
            return Ok(None);
        }
        let given = unless_stopped(stop, self.gpus.take(attempt, &task.resources)).await?;
        let devices = given.devices();
        let path = task.scratch.gpus();
        // What goes on was noted when it began.
        if !devices.is_empty() && !path.exists() {
            tokio::task::block_in_place(|| fs::write(path, gpus::shown(devices))).map_err(
                |error| Early::NoDisk(format!("what GPUs it has could not be noted: {error}")),
            )?;
        }
        task.env.extend(environment::of_gpus(&task.program, devices));
        task.gpus = Some(devices.clone());
        Ok(Some(given))
    }

    async fn execute(
        &self,
        assignment: &v1::Assignment,
        task: &Task,
        stop: &mut StopSignal,
        (log, output): (&LogWriter, &Output),
    ) -> Result<Run, Early> {
        let limits = limits(assignment);
        let image = unless_stopped(stop, self.executors.prepare(task, output)).await??;
        let running = match self.executors.start(task, image.as_ref(), output.clone()).await {
            Ok(running) => running,
            Err(ended) => return Err(not_begun(ended, &task.scratch.workspace())),
        };
        info!(executor = assignment.executor().as_str_name(), "task started");
        let finished = supervise(running, limits, stop, &log.unbounded()).await;
        let image = image.map(|image| image.digest);
        Ok(Run { image, ..Run::from(finished) })
    }

    async fn go_on(
        &self,
        assignment: &v1::Assignment,
        task: &Task,
        stop: &mut StopSignal,
        (log, output): (&LogWriter, &Output),
    ) -> Result<Run, Early> {
        let mut limits = limits(assignment);
        let Resumed { running, ran_for, image } =
            self.executors.resume(task, output.clone()).await?;
        let line =
            "postq: the agent was restarted; what the task wrote meanwhile is missing here\n";
        output.write(Stream::System, Bytes::from_static(line.as_bytes())).await;
        limits.timeout = limits.timeout.map(|timeout| timeout.saturating_sub(ran_for));
        let mut finished = supervise(running, limits, stop, &log.unbounded()).await;
        finished.ran_for += ran_for;
        Ok(Run { image, ..Run::from(finished) })
    }

    /// What a successful task left; a failure to keep it is the task's failure.
    async fn keep_files(
        &self,
        assignment: &v1::Assignment,
        workspace: &Path,
        stop: &mut StopSignal,
        run: &mut Run,
        output: Output,
    ) {
        let has_succeeded = has_succeeded(&run.finished);
        let Some(input) = assignment.input.as_ref().filter(|_| has_succeeded) else { return };
        let snapshot = self.files.snapshot(assignment, input, workspace);
        match unless_stopped(stop, snapshot).await {
            Ok(Ok(taken)) => {
                for warning in taken.warnings {
                    let line = Bytes::from(format!("postq: {warning}\n"));
                    output.write(Stream::System, line).await;
                }
                (run.snapshot, run.effort) = (Some(taken.snapshot), Some(taken.effort));
            }
            Ok(Err(why)) => {
                run.finished.ended = Ended::Unknown(format!("its files could not be kept: {why}"));
            }
            Err(stopped) => run.finished.cause = stopped.cause,
        }
    }
}

fn limits(assignment: &v1::Assignment) -> Limits {
    Limits {
        timeout: verdict::from_proto(assignment.timeout.as_ref()),
        grace: verdict::from_proto(assignment.grace.as_ref()).unwrap_or(DEFAULT_GRACE),
    }
}

fn prepare(
    assignment: &v1::Assignment,
    place: &Place<'_>,
    begin: Begin,
    traceparent: Option<&str>,
) -> Result<Task, Early> {
    let made = || {
        if begin == Begin::Again {
            return Ok(Scratch::at(place.scratch_dir.clone()));
        }
        let scratch = Scratch::create(place.scratch_dir.clone())?;
        papers::write(assignment, &scratch)?;
        Ok(scratch)
    };
    let scratch = tokio::task::block_in_place(made).map_err(|error: std::io::Error| {
        Early::NoDisk(format!("no directory could be made for it: {error}"))
    })?;
    let command = assignment.command.clone();
    let (program, env) = match assignment.executor() {
        Executor::Shell => {
            let env = environment::for_shell(assignment, place.agent, traceparent, &scratch);
            (Program::Shell { command }, env)
        }
        Executor::Docker => {
            let env = environment::for_container(assignment, place.agent, traceparent);
            (Program::Docker(Box::new(container(assignment)?)), env)
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
        resources: assignment
            .resources
            .iter()
            .filter_map(|(name, &n)| Some((name.clone(), u64::try_from(n).ok()?)))
            .collect(),
        gpus: None,
    })
}

fn container(assignment: &v1::Assignment) -> Result<DockerProgram, Early> {
    let spec = assignment.spec.clone().unwrap_or_default();
    let spec = postq_proto::convert::task_spec(&spec).map_err(|problems| {
        let why = problems.first().map_or_else(String::new, ToString::to_string);
        Ended::NotStarted { why, is_final: true }
    })?;
    Ok(DockerProgram {
        image: assignment.image.clone(),
        command: Some(assignment.command.clone()).filter(|command| !command.is_empty()),
        container: spec.container.unwrap_or_default(),
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

/// The JSON that a successful task gave; what is none is the task's failure.
fn take_output(finished: &mut Finished, scratch: &Scratch, secrets: &Secrets) -> Vec<u8> {
    if !has_succeeded(finished) {
        return Vec::new();
    }
    match tokio::task::block_in_place(|| papers::read_output(scratch)) {
        Ok(None) => Vec::new(),
        Ok(Some(output)) => secrets.mask_json(output).to_string().into_bytes(),
        Err(fault) => {
            finished.ended = Ended::Unknown(format!("its output {fault}"));
            Vec::new()
        }
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
        // Only who made them can bring them back.
        Unfetched::Lost(why) => {
            Ended::NotStarted { why: format!("input lost: {why}"), is_final: true }.into()
        }
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
