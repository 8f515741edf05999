//! The agent's side of a guard: start it, order it, hear how the command ended.
//!
//! It must not kill a guard: whoever closes the connection makes the guard clean up.

use std::{io, os::fd::OwnedFd, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::{
    descendants,
    wire::{Ended, Order, Spec},
};

/// Between two looks for the processes of a guard that is gone.
const ORPHAN_PAUSE: Duration = Duration::from_millis(5);
/// So many looks; then the rest hangs in the kernel.
const ORPHAN_TRIES: u32 = 1000;

/// The binary that knows the sub-command `exec`.
#[derive(Clone, Debug)]
pub struct GuardBinary(pub PathBuf);

impl Default for GuardBinary {
    /// This process's own binary, even where the file was replaced meanwhile.
    fn default() -> Self {
        Self(PathBuf::from("/proc/self/exe"))
    }
}

/// A command that runs under its guard.
#[derive(Debug)]
pub struct Process {
    /// What the command writes; ends when the last of its processes has ended.
    pub stdout: ChildStdout,
    /// As `stdout`.
    pub stderr: ChildStderr,
    /// Stops it.
    pub control: Control,
    guard: Child,
    answer: OwnedReadHalf,
}

/// Stops a command; cheap to clone, harmless after the end.
#[derive(Clone, Debug)]
pub struct Control(Arc<OwnedWriteHalf>);

impl Control {
    /// SIGTERM to every process of the command.
    pub fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// SIGKILL to every process of the command.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        // A full buffer cannot be (one byte per order), and an error means that the guard is gone.
        let _ = self.0.try_write(&[order as u8]);
    }
}

impl Process {
    /// Starts a guard and hands it the command. That the command itself cannot be started is told
    /// by [`Ending::ended`].
    pub async fn spawn(binary: &GuardBinary, spec: &Spec) -> io::Result<Self> {
        let message = spec.encode()?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut guard = Command::new(&binary.0)
            .arg0("postq-agent")
            .arg("exec")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (answer, mut orders) = UnixStream::from_std(ours)?.into_split();
        // An error here means that the guard is gone already, which `ended` will tell.
        let _ = orders.write_all(&message).await;
        Ok(Self {
            stdout: guard.stdout.take().expect("invariant: stdout is piped"),
            stderr: guard.stderr.take().expect("invariant: stderr is piped"),
            control: Control(Arc::new(orders)),
            guard,
            answer,
        })
    }

    /// Splits off what tells the end, so that the output can be read beside it.
    pub fn into_parts(self) -> (ChildStdout, ChildStderr, Control, Ending) {
        let ending = Ending { guard: self.guard, answer: self.answer, _keep: self.control.clone() };
        (self.stdout, self.stderr, self.control, ending)
    }
}

/// Tells how a command ended.
#[derive(Debug)]
pub struct Ending {
    guard: Child,
    answer: OwnedReadHalf,
    /// Closing the connection would kill the command.
    _keep: Control,
}

impl Ending {
    /// Waits for the end of the command and of everything it started.
    pub async fn ended(mut self) -> Ended {
        let leader = self.guard.id();
        let mut answer = Vec::new();
        let _ = self.answer.read_to_end(&mut answer).await;
        let status = self.guard.wait().await;
        if let Ok(ended) = serde_json::from_slice(&answer) {
            return ended;
        }
        if let Some(leader) = leader {
            kill_session(leader).await;
        }
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Ended::Unknown(format!("the guard of the task died ({status})"))
    }
}

/// Does a dead guard's work: its session, and its cgroup where there was one.
async fn kill_session(leader: u32) {
    let Ok(leader) = i32::try_from(leader) else { return };
    for _ in 0..ORPHAN_TRIES {
        let left = tokio::task::spawn_blocking(move || {
            super::cgroup::reap_orphans();
            let left = descendants::of_session(Pid::from_raw(leader));
            for &pid in &left {
                let _ = kill(pid, Signal::SIGKILL);
            }
            left.len()
        });
        if matches!(left.await, Ok(0) | Err(_)) {
            return;
        }
        tokio::time::sleep(ORPHAN_PAUSE).await;
    }
}
