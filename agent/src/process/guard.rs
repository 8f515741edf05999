//! `postq-agent exec`: the guard of one task. It starts the command, relays the agent's orders,
//! and sees to it that no process of the task outlives the task or the agent.
//!
//! It runs alone in its process, single-threaded, and knows nothing of attempts. Invariant: when
//! it answers or exits, no descendant is left: as a subreaper it inherits whoever loses its parent,
//! so daemons that fork twice and leave the session are found too.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, setsid},
};

use super::{
    cgroup::Cgroup,
    hunt,
    table::Table,
    wire::{Ended, Order, Spec},
};

/// Between two looks for processes that are being killed.
const KILL_PAUSE: Duration = Duration::from_millis(2);
/// A process that survives SIGKILL this long hangs in the kernel; waiting on helps nobody.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the guard in this process, whose standard input is the connection to the agent.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left to read it.
            let _ = writeln!(
                io::stderr(),
                "postq-agent exec: {error} (only the agent itself starts this)"
            );
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // Tasks of our user could take the connection out of our hands otherwise.
    prctl::set_dumpable(false)?;
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let spec = Spec::read_from(&mut control)?;
    // Whatever the agent was started with.
    spec.umask.apply();
    close_inherited_on_exec()?;
    // Fails only where we lead a session already, which is what is wanted.
    let _ = setsid();
    prctl::set_child_subreaper(true)?;
    let cgroup = Cgroup::create(Pid::this());
    let is_bound = cgroup.as_ref().is_some_and(|cgroup| cgroup.bound(&spec.bounds));
    // Without a cgroup that holds memory, each process is bound by itself.
    let each = spec.bounds.memory_bytes.filter(|_| !is_bound);
    let started = match &cgroup {
        Some(cgroup) => cgroup.around(|| start(&spec, each)),
        None => start(&spec, each),
    };
    let mut ended = match started {
        Ok(main) => Guard::new(control.try_clone()?, main, &cgroup)?.watch()?,
        Err(error) => Ended::NotStarted(error.to_string()),
    };
    let has_succeeded = matches!(ended, Ended::Exited(0));
    if !has_succeeded && cgroup.as_ref().is_some_and(Cgroup::was_out_of_memory) {
        ended = Ended::OutOfMemory;
    }
    if let Some(cgroup) = &cgroup {
        cgroup.remove();
    }
    control.write_all(&serde_json::to_vec(&ended)?)
}

/// The command in a process group of its own, so that what it does to its group spares the guard.
fn start(spec: &Spec, memory_of_each: Option<u64>) -> io::Result<Pid> {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(account) = &spec.account {
        account.apply(&mut command);
    }
    if let Some(bytes) = memory_of_each {
        let bound = move || Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?);
        // SAFETY: one system call on a number; nothing allocates.
        #[allow(unsafe_code)] // the guard itself must stay unbound
        unsafe {
            command.pre_exec(bound);
        }
    }
    let child = command.spawn()?;
    Ok(Pid::from_raw(i32::try_from(child.id()).expect("invariant: a pid fits pid_t")))
}

/// Whatever the agent was itself started with must not reach the task.
fn close_inherited_on_exec() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        if number > 2 {
            // SAFETY: the descriptor is only named, in this single-threaded process; one that was
            // closed meanwhile (the listing's own) gives EBADF.
            #[allow(unsafe_code)] // no safe way leads from a number to a descriptor
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
    Ok(())
}

struct Guard<'a> {
    control: UnixStream,
    signals: SignalFd,
    main: Pid,
    cgroup: &'a Option<Cgroup>,
    ended: Option<Ended>,
    /// The polite signal was sent: what is left after the main process may use up its grace.
    is_terminating: bool,
}

enum Event {
    Children,
    Order(Order),
}

impl<'a> Guard<'a> {
    fn new(control: UnixStream, main: Pid, cgroup: &'a Option<Cgroup>) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        // Only now: the task would inherit the blocked signals.
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { control, signals, main, cgroup, ended: None, is_terminating: false })
    }

    fn watch(mut self) -> io::Result<Ended> {
        loop {
            let has_children = self.reap();
            if !has_children || (self.ended.is_some() && !self.is_terminating) {
                return Ok(self.finish());
            }
            match self.next_event()? {
                Event::Children => {}
                Event::Order(Order::Terminate) => self.terminate_all(),
                Event::Order(Order::Kill) => return Ok(self.finish()),
            }
        }
    }

    fn finish(mut self) -> Ended {
        self.kill_all();
        self.ended.unwrap_or_else(|| Ended::Unknown("its main process vanished".into()))
    }

    /// Collects who has ended; returns whether any child, and so any descendant, is left.
    fn reap(&mut self) -> bool {
        loop {
            let ended = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ended::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Signalled(signal as i32)),
                Err(Errno::ECHILD) => return false,
                Ok(WaitStatus::StillAlive) => return true,
                Ok(_) | Err(_) => continue,
            };
            if ended.0 == self.main {
                self.ended = Some(ended.1);
            }
        }
    }

    fn next_event(&mut self) -> io::Result<Event> {
        let (control, signals) = {
            let mut sources = [
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut sources, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            (sources[0].any().unwrap_or(false), sources[1].any().unwrap_or(false))
        };
        if control {
            return Ok(Event::Order(self.read_order()));
        }
        let mut event = Event::Children;
        while signals && let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_signo != Signal::SIGCHLD as u32 {
                event = Event::Order(Order::Terminate);
            }
        }
        Ok(event)
    }

    /// End of file and a broken connection both mean that the agent is gone.
    fn read_order(&mut self) -> Order {
        let mut byte = [0];
        match self.control.read(&mut byte) {
            Ok(1) => Order::from_byte(byte[0]),
            _ => Order::Kill,
        }
    }

    fn terminate_all(&mut self) {
        if !std::mem::replace(&mut self.is_terminating, true) {
            for pid in Table::look().descendants(Pid::this().as_raw()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                // Who is stopped could not obey.
                let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
            }
        }
    }

    fn kill_all(&mut self) {
        let deadline = Instant::now() + KILL_PATIENCE;
        let this = Pid::this().as_raw();
        while self.reap() {
            if Instant::now() > deadline {
                self.ended.get_or_insert(Ended::Unknown("it survived SIGKILL".into()));
                return;
            }
            if let Some(cgroup) = self.cgroup {
                cgroup.kill();
            }
            hunt::kill_all(
                |table| table.descendants(this),
                deadline.saturating_duration_since(Instant::now()),
            );
            thread::sleep(KILL_PAUSE);
        }
    }
}
