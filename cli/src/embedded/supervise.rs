//! The process between us and a child that ends the child when we are gone.
//!
//! `postq supervise` holds the reading end of a pipe whose writing end only its parent has. The
//! end of that pipe, by whatever death of the parent, stops the child: politely, after a grace
//! with certainty. Should the supervisor itself be killed, the kernel signals the child: `postq
//! enter` asks it to, gives up root, and becomes the program. It knows nothing of what it runs.
//!
//! Invariant: the child does not outlive both of them.

use std::{
    convert::Infallible,
    ffi::OsString,
    io::{self, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{self, ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use clap::Args;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

use super::account::Account;

/// From the certain signal to SIGKILL, which a program cannot see coming.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// Arguments of `postq supervise`.
#[derive(Args, Debug)]
pub struct Supervise {
    /// Signal that asks the program to end.
    #[arg(long)]
    polite: Signal,
    /// Signal that ends it when the grace is over or this process dies.
    #[arg(long)]
    certain: Signal,
    /// Milliseconds from the polite to the certain signal.
    #[arg(long)]
    grace_ms: u64,
    /// Run the program as this uid:gid.
    #[arg(long)]
    user: Option<Account>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// Arguments of `postq enter`.
#[derive(Args, Debug)]
pub struct Enter {
    /// The supervisor; when it is gone already the program is not started.
    #[arg(long)]
    parent: i32,
    /// Signal the program gets when the supervisor dies.
    #[arg(long)]
    orphaned: Signal,
    /// Become this uid:gid first.
    #[arg(long)]
    user: Option<Account>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

impl Supervise {
    /// Runs the program until it ends or standard input does, and ends as the program did. The
    /// program's process id is the first line on standard output.
    pub fn run(self) -> ExitCode {
        // One thread: the kernel's word on the death of a parent follows the thread that spawned.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = runtime.and_then(|runtime| {
            let ended = runtime.block_on(self.watch());
            // A thread still reads standard input, and is not waited for.
            runtime.shutdown_background();
            ended
        });
        match ended {
            Ok(status) => process::exit(code_of(status)),
            Err(error) => {
                eprintln!("postq: cannot supervise {:?}: {error}", self.program);
                ExitCode::FAILURE
            }
        }
    }

    async fn watch(&self) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        let pid = child.id().map_or(0, u32::cast_signed);
        let mut told = io::stdout();
        // Nobody may be listening, and that is no reason to end the child.
        let _ = writeln!(told, "{pid}").and_then(|()| told.flush());
        tokio::select! {
            status = child.wait() => status,
            () = parent_is_gone() => self.stop(child, Pid::from_raw(pid)).await,
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("enter").arg("--parent").arg(process::id().to_string());
        command.arg("--orphaned").arg(self.certain.as_str());
        if let Some(user) = &self.user {
            command.arg("--user").arg(user.to_string());
        }
        // Our standard error is the program's log.
        command.arg("--").args(&self.program);
        command.stdin(Stdio::null()).stdout(io::stderr()).stderr(Stdio::inherit()).spawn()
    }

    async fn stop(&self, mut child: Child, pid: Pid) -> io::Result<ExitStatus> {
        let steps =
            [(self.polite, Duration::from_millis(self.grace_ms)), (self.certain, LAST_GRACE)];
        for (signal, grace) in steps {
            // The child is not reaped yet, so the number is still its own.
            let _ = kill(pid, signal);
            if let Ok(status) = timeout(grace, child.wait()).await {
                return status;
            }
        }
        child.kill().await?;
        child.wait().await
    }
}

impl Enter {
    /// Becomes the program. Returns only when that failed.
    pub fn run(self) -> ExitCode {
        let Err(error) = self.exec();
        eprintln!("postq: cannot run {:?}: {error}", self.program);
        ExitCode::from(127)
    }

    fn exec(&self) -> io::Result<Infallible> {
        let (program, arguments) =
            self.program.split_first().ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut command = process::Command::new(program);
        command.args(arguments);
        self.prepare(&mut command)?;
        if nix::unistd::getppid().as_raw() != self.parent {
            return Err(io::Error::other("its supervisor is gone"));
        }
        Err(command.exec())
    }

    /// Gives up root before asking for the signal, since a change of user takes the wish back.
    #[cfg(target_os = "linux")]
    fn prepare(&self, _command: &mut process::Command) -> io::Result<()> {
        use nix::{sys::prctl, unistd};
        if let Some(user) = &self.user {
            unistd::setgroups(&[user.gid()])?;
            unistd::setgid(user.gid())?;
            unistd::setuid(user.uid())?;
        }
        Ok(prctl::set_pdeathsig(self.orphaned)?)
    }

    /// Here the kernel has no such word; the supervisor alone has to do.
    #[cfg(not(target_os = "linux"))]
    fn prepare(&self, command: &mut process::Command) -> io::Result<()> {
        if let Some(user) = &self.user {
            command.uid(user.uid().as_raw()).gid(user.gid().as_raw());
        }
        Ok(())
    }
}

async fn parent_is_gone() {
    let mut pipe = tokio::io::stdin();
    let mut ignored = [0; 64];
    while matches!(pipe.read(&mut ignored).await, Ok(1..)) {}
}

fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
