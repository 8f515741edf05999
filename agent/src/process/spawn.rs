//! The agent's side of a guard: start it, order it, hear how the command ended.
//!
//! It kills a guard only when that does not obey: whoever closes the connection makes the guard
//! clean up. Invariant: after an order to kill, the end comes within a bounded time, whatever the
//! task has done to its guard.

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::watch,
    time::Instant,
};

use super::{
    guard_id::GuardId,
    household::{self, Trace},
    wire::{Ended, Order, Spec},
};

/// How long a guard may take to obey an order to kill, and to end after its answer; longer than it
/// tries itself.
const OBEY_PATIENCE: Duration = Duration::from_secs(8);
/// A task may have stopped its guard: how often the guard is sent on its way, before an order and
/// after one.
const IDLE_NUDGE: Duration = Duration::from_secs(5);
const ORDER_NUDGE: Duration = Duration::from_millis(50);

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
    ending: Ending,
}

/// Stops a command; cheap to clone, harmless after the end.
#[derive(Clone, Debug)]
pub struct Control {
    connection: Arc<OwnedWriteHalf>,
    /// The sharpest order so far.
    ordered: watch::Sender<Option<Order>>,
}

impl Control {
    /// SIGTERM to every process of the command.
    pub fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// SIGKILL to every process of the command.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// An error means that the guard is gone already, which [`Ending::ended`] will tell.
    async fn hand_over(&self, mut message: &[u8]) {
        while !message.is_empty() && self.connection.writable().await.is_ok() {
            match self.connection.try_write(message) {
                Ok(written) => message = &message[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    fn order(&self, order: Order) {
        // A full buffer cannot be (one byte per order), and an error means that the guard is gone.
        let _ = self.connection.try_write(&[order as u8]);
        self.ordered.send_modify(|current| {
            if *current != Some(Order::Kill) {
                *current = Some(order);
            }
        });
    }
}

impl Process {
    /// Starts a guard, lets `note` write down who it is, and hands it the command. That the command
    /// itself cannot be started is told by [`Ending::ended`]. `marker`: `NAME=value` pairs of the
    /// command's environment that no other command has.
    pub async fn spawn(
        binary: &GuardBinary,
        spec: &Spec,
        marker: Vec<String>,
        note: impl FnOnce(&GuardId),
    ) -> io::Result<Self> {
        let message = spec.encode()?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&binary.0);
        command
            .arg0("postq-agent")
            .arg("exec")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = household::start_guard(|| command.spawn(), pid_of)?;
        // The guard would wait for ever on a connection that it holds itself.
        drop(command);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (answer, orders) = UnixStream::from_std(ours)?.into_split();
        let guard = pid_of(&child).and_then(GuardId::of);
        let control = Control { connection: Arc::new(orders), ordered: watch::Sender::new(None) };
        let trace = Trace { guard, marker };
        if let Some(guard) = &trace.guard {
            note(guard);
        }
        control.hand_over(&message).await;
        let ending = Ending { child, answer, control: control.clone(), trace };
        Ok(Self {
            stdout: stdout.expect("invariant: stdout is piped"),
            stderr: stderr.expect("invariant: stderr is piped"),
            control,
            ending,
        })
    }

    /// Splits off what tells the end, so that the output can be read beside it.
    pub fn into_parts(self) -> (ChildStdout, ChildStderr, Control, Ending) {
        (self.stdout, self.stderr, self.control, self.ending)
    }
}

fn pid_of(child: &Child) -> Option<i32> {
    i32::try_from(child.id()?).ok()
}

/// Tells how a command ended.
#[derive(Debug)]
pub struct Ending {
    child: Child,
    answer: OwnedReadHalf,
    /// Closing the connection would kill the command.
    control: Control,
    trace: Trace,
}

impl Ending {
    /// Waits for the end of the command and of everything it started.
    pub async fn ended(mut self) -> Ended {
        let pid = pid_of(&self.child);
        let (answer, status) = self.guard_ended().await;
        if let Some(pid) = pid {
            household::forget_guard(pid);
        }
        let was_killed = *self.control.ordered.borrow() == Some(Order::Kill);
        match (serde_json::from_slice(&answer), &status) {
            (Ok(ended), Ok(status)) if status.success() => return ended,
            _ => {}
        }
        let trace = self.trace.clone();
        let cleaned = tokio::task::spawn_blocking(move || super::kill_left(&[trace])).await;
        Ended::Unknown(match (status, cleaned) {
            (_, Ok(false)) => "some of its processes survived SIGKILL".to_owned(),
            (Ok(status), _) => why_guard_died(status, was_killed),
            (Err(error), _) => format!("the supervisor of the task cannot be waited for: {error}"),
        })
    }

    /// What the guard answered, and its end; brings the end about where it is overdue.
    async fn guard_ended(&mut self) -> (Vec<u8>, io::Result<ExitStatus>) {
        let mut ordered = self.control.ordered.subscribe();
        let mut answer = Vec::new();
        let (mut is_open, mut is_ordered, mut overdue) = (true, false, None);
        loop {
            let pause = if is_ordered { ORDER_NUDGE } else { IDLE_NUDGE };
            tokio::select! {
                biased;
                read = self.answer.read_buf(&mut answer), if is_open => {
                    is_open = read.is_ok_and(|length| length > 0);
                    // It has nothing left to do.
                    overdue.get_or_insert_with(|| Instant::now() + OBEY_PATIENCE);
                }
                status = self.child.wait() => {
                    // All it said is there already; who may hold the connection besides it is not
                    // waited for.
                    while self.answer.try_read_buf(&mut answer).is_ok_and(|length| length > 0) {}
                    return (answer, status);
                }
                Ok(()) = ordered.changed() => {
                    is_ordered = true;
                    if *ordered.borrow_and_update() == Some(Order::Kill) {
                        overdue.get_or_insert_with(|| Instant::now() + OBEY_PATIENCE);
                    }
                    self.nudge();
                }
                () = tokio::time::sleep(pause) => self.nudge(),
            }
            if overdue.is_some_and(|at| Instant::now() > at) {
                // What it leaves is looked for when it has ended.
                let _ = self.child.start_kill();
            }
        }
    }

    /// A task of the same user can stop its guard.
    fn nudge(&self) {
        if let Some(pid) = pid_of(&self.child) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }
}

fn why_guard_died(status: ExitStatus, was_killed: bool) -> String {
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let signal = signal.and_then(|number| Signal::try_from(number).ok());
    match signal {
        Some(_) if was_killed => "its supervisor did not obey and was killed".to_owned(),
        Some(signal) => format!(
            "the task killed its supervisor ({signal}), unless the kernel did for want of memory"
        ),
        None => format!("the supervisor of the task failed ({status})"),
    }
}
