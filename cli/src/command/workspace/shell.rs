//! `postq workspace shell JOB/TASK`: the files a task starts from in a local directory, and a shell
//! there: how one looks into a step that failed.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use postq_proto::v1::{Assignment, assignment::Executor};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    client::Connection,
    failure::{Exit, Failure},
    files,
};

/// Where a container has its files.
const IN_CONTAINER: &str = "/workspace";

/// Open a shell in the files that a task starts from.
#[derive(Args, Debug)]
pub struct Shell {
    /// The task.
    #[arg(value_name = "JOB/TASK")]
    of: String,
    /// Empty or new directory, which stays; without it, a temporary one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Run this instead of a shell; the task's own command is in $POSTQ_COMMAND.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    connection: Connection,
}

impl Shell {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let Some((job, task)) = self.of.split_once('/') else {
            return Err(Failure::new(Exit::Invalid, format!("{}: write JOB/TASK", self.of)));
        };
        let coordinator = self.connection.open()?;
        let assignment =
            files::input(&coordinator, job, task).await?.assignment.unwrap_or_default();
        let scratch = tempfile::Builder::new().prefix("postq-").tempdir();
        let scratch = scratch.map_err(|error| {
            Failure::new(Exit::Machine, format!("cannot make a temporary directory: {error}"))
        })?;
        let dir = self.dir.clone().unwrap_or_else(|| scratch.path().join("workspace"));
        let input = assignment.input.clone().unwrap_or_default();
        files::download(&coordinator, &input, &dir).await?;
        eprintln!("postq: the files of {} are in {}", self.of, dir.display());
        if !assignment.command.is_empty() {
            eprintln!("postq: its command: sh -c \"$POSTQ_COMMAND\"");
        }
        // Ctrl-C is for what runs in the shell.
        let _interrupts = signal(SignalKind::interrupt());
        let mut command = match assignment.executor() {
            Executor::Docker => self.in_container(&assignment, &dir),
            _ => self.on_host(&assignment, &dir),
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let ended = tokio::task::block_in_place(|| command.status());
        let ended = ended.map_err(|error| {
            Failure::new(Exit::Machine, format!("cannot start {program}: {error}"))
        })?;
        match ended.success() {
            true => Ok(Exit::Success),
            false => Err(Failure::new(Exit::JobFailed, format!("{program} ended with {ended}"))),
        }
    }

    fn on_host(&self, assignment: &Assignment, dir: &Path) -> Command {
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let words = if self.command.is_empty() { vec![shell] } else { self.command.clone() };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(dir).envs(variables(assignment));
        command.env("POSTQ_WORKSPACE", dir);
        command
    }

    fn in_container(&self, assignment: &Assignment, dir: &Path) -> Command {
        let mut command = Command::new("docker");
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        command.args(["run", "--rm", "--interactive"]);
        if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            command.arg("--tty");
        }
        let mut mount = OsString::from("type=bind,source=");
        mount.push(&dir);
        mount.push(format!(",target={IN_CONTAINER}"));
        command.arg("--mount").arg(mount).args(["--workdir", IN_CONTAINER]);
        for (name, value) in variables(assignment) {
            // By name only: a value on the command line is seen by everybody on this host.
            command.args(["--env", &name]).env(name, value);
        }
        match self.command.split_first() {
            None => command.args(["--entrypoint", "/bin/sh", &assignment.image]),
            Some((program, rest)) => {
                command.arg("--entrypoint").arg(program).arg(&assignment.image).args(rest)
            }
        };
        command
    }
}

/// What the task is told.
fn variables(assignment: &Assignment) -> Vec<(String, String)> {
    let own = [
        ("POSTQ_JOB_ID", &assignment.job_id),
        ("POSTQ_JOB_NAME", &assignment.job_name),
        ("POSTQ_TASK", &assignment.task_name),
        ("POSTQ_QUEUE", &assignment.queue),
        ("POSTQ_COMMAND", &assignment.command),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
    let given = assignment.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    given.chain(own).collect()
}
