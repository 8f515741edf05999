//! The real agent binary, and what can be seen of it from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    fake::{Fake, Session},
    support::eventually,
};

/// A running agent; killed when the test ends, however it ends.
pub(crate) struct Agent {
    child: Child,
    pub(crate) home: PathBuf,
}

impl Agent {
    /// Starts it with shell tasks only, and the work directory `home`.
    pub(crate) fn start(fake: &Fake, home: &Path, args: &[&str]) -> Self {
        let mut all = vec!["--executors=shell"];
        all.extend(args);
        Self::start_with(&fake.url(), home, &all, &[])
    }

    pub(crate) fn start_with(url: &str, home: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let child = command(url, home, args, env).spawn().unwrap();
        Self { child, home: home.to_owned() }
    }

    /// Starts it where it finds no cgroup to use. (Who is not root rarely has one anyway.)
    pub(crate) fn start_without_cgroups(fake: &Fake, home: &Path, args: &[&str]) -> Self {
        let mut all = vec!["--executors=shell"];
        all.extend(args);
        if !nix::unistd::geteuid().is_root() {
            return Self::start_with(&fake.url(), home, &all, &[]);
        }
        let script = "umount -l -a -t cgroup2; exec \"$0\" \"$@\"";
        let words = ["unshare", "--mount", "sh", "-c", script];
        Self::start_under(&words, &command(&fake.url(), home, &all, &[]), home)
    }

    /// Starts it with a table of hosts of its own, which the test may change meanwhile.
    pub(crate) fn start_among(hosts: &Path, url: &str, home: &Path) -> Self {
        let script = format!("mount --bind '{}' /etc/hosts; exec \"$0\" \"$@\"", hosts.display());
        let mut words = vec!["unshare", "--mount", "sh", "-c", &script];
        if !nix::unistd::geteuid().is_root() {
            words.insert(1, "--map-root-user");
        }
        Self::start_under(&words, &command(url, home, &["--executors=shell"], &[]), home)
    }

    /// Starts it by a shell that does this; the agent is the script's `$0 $@`.
    pub(crate) fn start_within(script: &str, fake: &Fake, home: &Path) -> Self {
        let agent = command(&fake.url(), home, &["--executors=shell"], &[]);
        Self::start_under(&["sh", "-c", script], &agent, home)
    }

    fn start_under(words: &[&str], agent: &Command, home: &Path) -> Self {
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg(agent.get_program())
            .args(agent.get_args())
            .env("POSTQ_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, home: home.to_owned() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        eventually("the agent to exit", || child.lock().unwrap().try_wait().unwrap().is_some())
            .await;
        self.child.wait().unwrap()
    }

    /// What is left of attempts in its work directory.
    pub(crate) fn attempts_on_disk(&self) -> Vec<String> {
        names(&self.home.join("attempts"))
    }

    /// The spools of output that was not pushed.
    pub(crate) fn spools_on_disk(&self) -> Vec<String> {
        names(&self.home.join("logs"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of an agent.
pub(crate) fn command(url: &str, home: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postq-agent"));
    command
        .arg("--coordinator")
        .arg(url)
        .arg("--work-dir")
        .arg(home)
        .args(args)
        .env("POSTQ_LOG", "warn")
        .envs(env.iter().copied())
        .stdin(Stdio::null());
    command
}

/// A coordinator, an agent, and the first stream between them.
pub(crate) async fn connected(home: &Path, args: &[&str]) -> (Fake, Agent, Session) {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, home, args);
    let session = fake.session().await;
    (fake, agent, session)
}

/// Whether a process of this number runs (one that has ended and waits for its parent does not).
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(')').next().unwrap().trim_start().chars().next();
    !matches!(state, Some('Z' | 'X'))
}

/// The number that a task wrote into a file, once it is there whole.
pub(crate) async fn pid_in(path: &Path) -> i32 {
    eventually(&format!("{} to be written", path.display()), || read_pid(path).is_some()).await;
    read_pid(path).unwrap()
}

fn read_pid(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
