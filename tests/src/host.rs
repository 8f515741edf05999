//! One coordinator or agent of a test: a real process that can be killed, stopped, paused and
//! started again. It knows nothing of what the process does.
//!
//! Invariant: the process ends when its [`Host`] is dropped, and when the test's own process dies.

use std::{fs, path::Path, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_cli::embedded::{Binaries, Daemon, DaemonSpec};
use tokio::time::timeout;

/// A process that was asked to end has so long, its own grace included.
const END_LIMIT: Duration = Duration::from_secs(60);

/// One process.
#[derive(Debug)]
pub struct Host {
    binaries: Binaries,
    spec: DaemonSpec,
    daemon: Daemon,
}

impl Host {
    /// Starts one.
    pub async fn start(binaries: &Binaries, spec: DaemonSpec) -> Self {
        let daemon = launch(binaries, spec.clone()).await;
        Self { binaries: binaries.clone(), spec, daemon }
    }

    /// As it was named.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.spec.log).unwrap_or_default()
    }

    /// The most memory it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.daemon.pid());
        let status = fs::read_to_string(status).expect("a process that runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().strip_suffix(" kB")).expect("its peak");
        peak.parse::<u64>().expect("a number") * 1024
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.daemon.ended()
    }

    /// SIGKILL, as a crash would; it is gone when this returns.
    pub async fn kill(&mut self) {
        self.daemon.kill().await;
    }

    /// Starts it again as it was started first, killing it where it still runs.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.daemon = launch(&self.binaries, self.spec.clone()).await;
    }

    /// SIGTERM, and the end of it.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let ended = timeout(END_LIMIT, self.daemon.wait()).await;
        ended.expect("it should end when asked to").expect("it should tell how it ended")
    }

    /// SIGSTOP: it falls silent, as behind a network that is cut.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT: it goes on as if nothing had been.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(pid(&self.daemon), signal).expect("a process that runs");
    }

    /// Kills it without waiting for anything, for the end of a test.
    pub(crate) fn kill_at_once(&mut self) {
        if self.daemon.ended().is_none() {
            // It may have ended by itself just now.
            let _ = kill(pid(&self.daemon), Signal::SIGKILL);
        }
    }
}

async fn launch(binaries: &Binaries, spec: DaemonSpec) -> Daemon {
    Daemon::start(&binaries.postq, spec).await.expect("a process of the cluster")
}

fn pid(daemon: &Daemon) -> Pid {
    Pid::from_raw(daemon.pid().cast_signed())
}

/// The processes of this machine with that path in their command line.
pub fn processes_with(path: &Path) -> Vec<String> {
    let wanted = path.to_str().expect("a path of ours");
    let entries = fs::read_dir("/proc").expect("a system with /proc").flatten();
    let command = |entry: fs::DirEntry| {
        let is_process = entry.file_name().to_str()?.parse::<u32>().is_ok();
        let line = is_process.then(|| fs::read(entry.path().join("cmdline")).ok()).flatten()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    };
    entries.filter_map(command).filter(|command| command.contains(wanted)).collect()
}
