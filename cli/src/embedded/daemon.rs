//! One child process with its log, under a supervisor.
//!
//! It knows nothing of what the child does. Invariant: the child ends when its [`Daemon`] is
//! stopped or dropped, and when this process dies in any way.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{EmbeddedError, account::Account};

/// How a child is ended.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Asks it to end.
    pub polite: Signal,
    /// Ends it, after `grace` or when its supervisor dies.
    pub certain: Signal,
    /// Between the two.
    pub grace: Duration,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct DaemonSpec {
    /// For messages, and of the log file.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables set (`Some`) or removed (`None`).
    pub environment: Vec<(String, Option<OsString>)>,
    /// Where it starts.
    pub directory: PathBuf,
    /// The file its output is added to.
    pub log: PathBuf,
    /// Who it runs as; `None` means as we do.
    pub user: Option<Account>,
    /// How it is ended.
    pub stop: Stop,
}

/// A running child.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    log: PathBuf,
    supervisor: Child,
    /// Its end tells the supervisor to stop the child. Kept apart from `supervisor`, since waiting
    /// for that would close it.
    pipe: Option<ChildStdin>,
    pid: Pid,
}

impl Daemon {
    /// Starts the child under `postq`, which is the supervisor's program.
    pub async fn start(postq: &Path, spec: DaemonSpec) -> Result<Self, EmbeddedError> {
        let mut supervisor =
            command(postq, &spec)?.spawn().map_err(EmbeddedError::io("run", postq))?;
        let pid = first_line(&mut supervisor).await.and_then(|line| line.trim().parse().ok());
        let daemon = Self {
            name: spec.name,
            log: spec.log,
            pipe: supervisor.stdin.take(),
            supervisor,
            pid: Pid::from_raw(pid.unwrap_or(0)),
        };
        if pid.is_none() { Err(daemon.not_started("could not be started")) } else { Ok(daemon) }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().ok().flatten()
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.supervisor.wait().await.ok()
    }

    /// Asks it to end and waits until it has. Later stops are of no effect.
    pub async fn stop(&mut self) {
        drop(self.pipe.take());
        // The supervisor bounds the time itself.
        let _ = self.supervisor.wait().await;
    }

    /// Ends it without a chance to do anything (SIGKILL), as a crash would.
    pub async fn kill(&mut self) {
        if self.ended().is_none() {
            // The supervisor reaps it only as it ends itself.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        self.wait().await;
    }

    /// The error that the child is not what it should be, with the last line of its log.
    pub fn not_started(&self, what: impl Into<String>) -> EmbeddedError {
        EmbeddedError::NotStarted {
            name: self.name.clone(),
            what: what.into(),
            last_line: last_line(&self.log),
            log: self.log.clone(),
        }
    }
}

fn command(postq: &Path, spec: &DaemonSpec) -> Result<Command, EmbeddedError> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&spec.log)
        .map_err(EmbeddedError::io("write", &spec.log))?;
    let mut command = Command::new(postq);
    command.arg("supervise").arg("--polite").arg(spec.stop.polite.as_str());
    command.arg("--certain").arg(spec.stop.certain.as_str());
    command.arg("--grace-ms").arg(spec.stop.grace.as_millis().to_string());
    if let Some(user) = &spec.user {
        command.arg("--user").arg(user.to_string());
    }
    command.arg("--").arg(&spec.program).args(&spec.arguments);
    for (name, value) in &spec.environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(&spec.directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    // A group of its own, so that Ctrl-C reaches us alone and we stop it in order.
    command.process_group(0);
    Ok(command)
}

async fn first_line(supervisor: &mut Child) -> Option<String> {
    let told = supervisor.stdout.take()?;
    BufReader::new(told).lines().next_line().await.ok().flatten()
}

/// How much of the end of a log is looked at for its last line.
const TAIL_BYTES: usize = 8 * 1024;

fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL_BYTES)..]).into_owned();
    tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}
