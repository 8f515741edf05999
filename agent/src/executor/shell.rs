//! Runs a command line with `sh -c` under a guard.

use std::{fs, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::{FutureExt, future::join};
use postq_common::spec::{CPUS, MEMORY, shown_amount};
use postq_runtime::spawn_alone;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::task::{self, Control, Ended, Running, Started, Task};
use crate::{
    logs::{Output, Stream},
    process::{self, Account, Bounds, GuardBinary, GuardId, Held, Process, Spec, Umask},
};

const SHELL: &str = "/bin/sh";
/// The kernel refuses a single argument of 128 KiB; a longer command line goes into a file.
const LONGEST_ARGUMENT: usize = 100 * 1024;
/// One read of a pipe, in bytes: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// What was written before the end is in the pipe: nothing comes that is not there within this
/// time, and no more than a pipe can be made to hold.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
const LAST_BYTES: usize = 1024 * 1024;

/// What the operator says of shell tasks.
#[derive(Clone, Debug)]
pub struct ShellOptions {
    /// The binary that guards them.
    pub guard: GuardBinary,
    /// Who they run as; none means as the agent.
    pub run_as: Option<Account>,
    /// Which bits their files do not have.
    pub umask: Umask,
    /// How many processes and threads one may have; none means any number.
    pub processes: Option<u32>,
}

/// The shell executor.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    options: Arc<ShellOptions>,
    held: Held,
}

impl Shell {
    /// Says what tasks cannot be held to here.
    pub(crate) fn new(options: ShellOptions) -> Self {
        let held = tokio::task::block_in_place(process::held);
        let unheld: Vec<&str> = [
            (held.cpus, "CPUs (they are only counted)"),
            (held.memory, "memory (each process may have so much data)"),
            (held.processes || options.processes.is_none(), "a number of processes"),
        ]
        .into_iter()
        .filter_map(|(is_held, what)| (!is_held).then_some(what))
        .collect();
        if !unheld.is_empty() {
            warn!(
                unheld = unheld.join(", "),
                "shell tasks are not held to all that they ask for; it takes a cgroup (version 2) of its own with \
                 the controllers cpu, memory and pids"
            );
        }
        Self { options: Arc::new(options), held }
    }

    pub(crate) async fn start(&self, task: &Task, command: &str, output: Output) -> Started {
        let not_started = |error: io::Error| Ended::NotStarted {
            why: format!("the shell could not be started: {error}"),
            is_final: false,
        };
        let spec = Spec {
            program: SHELL.to_owned(),
            args: arguments(task, command).map_err(not_started)?,
            env: task::marked(task),
            cwd: task.scratch.workspace(),
            account: self.options.run_as.clone(),
            umask: self.options.umask,
            bounds: Bounds {
                processes: self.options.processes,
                memory_bytes: task.resources.get(MEMORY).copied(),
                thousandths_of_cpus: task.resources.get(CPUS).copied(),
            },
        };
        if let Some(account) = &self.options.run_as {
            let given = || task.scratch.give_to(account.uid(), account.gid());
            tokio::task::block_in_place(given).map_err(not_started)?;
        }
        if let Some(line) = unheld(&self.held, &spec.bounds) {
            output.write(Stream::System, line.into()).await;
        }
        let marker = task::marker(&task.scratch);
        let note = |guard: &GuardId| {
            let path = task.scratch.guard();
            let noted = tokio::task::block_in_place(|| fs::write(path, guard.to_string()));
            if let Err(error) = noted {
                warn!(%error, "the guard of a task is not noted; the next start cannot kill it");
            }
        };
        let process =
            Process::spawn(&self.options.guard, &spec, marker, note).await.map_err(not_started)?;
        let (stdout, stderr, control, ending) = process.into_parts();
        let over = CancellationToken::new();
        // Beside the end, which is told at once: they hold `Output`s, so that whoever waits for the
        // end of the log waits for them.
        let (pumps_output, pumps_over) = (output.clone(), over.clone());
        spawn_alone("output of a task", async move {
            let stdout = pump(stdout, Stream::Stdout, &pumps_output, &pumps_over);
            let stderr = pump(stderr, Stream::Stderr, &pumps_output, &pumps_over);
            join(stdout, stderr).await;
        });
        let ended = async move {
            let _over = over.drop_guard();
            let ended = Ended::told(ending.ended().await, spec.bounds.memory_bytes);
            output.hurry();
            ended
        };
        Ok(Running { control: Control::Shell(control), ended: ended.boxed() })
    }
}

/// What a task asked for and is not held to on this host, as a line of its log.
fn unheld(held: &Held, bounds: &Bounds) -> Option<String> {
    let cpus = bounds.thousandths_of_cpus.filter(|_| !held.cpus);
    let memory = bounds.memory_bytes.filter(|_| !held.memory);
    let parts: Vec<String> = [
        cpus.map(|cpus| shown_amount(CPUS, cpus) + " (not held)"),
        memory.map(|bytes| shown_amount(MEMORY, bytes) + " (held for each process alone)"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| {
        format!("postq: this host has no cgroup that bounds the task by {}\n", parts.join(" and "))
    })
}

fn arguments(task: &Task, command: &str) -> io::Result<Vec<String>> {
    if command.len() <= LONGEST_ARGUMENT {
        return Ok(vec!["-c".to_owned(), command.to_owned()]);
    }
    let script = task.scratch.script();
    tokio::task::block_in_place(|| fs::write(&script, command))?;
    Ok(vec![script.to_string_lossy().into_owned()])
}

/// Hands over what comes until the last process that holds the pipe has ended. `over`: all that are
/// known have; then somebody who was handed the pipe is not waited for.
async fn pump(
    mut pipe: impl AsyncRead + Unpin,
    stream: Stream,
    output: &Output,
    over: &CancellationToken,
) {
    let mut buffer = BytesMut::new();
    let mut last = LAST_BYTES;
    let is_late = late_after(over);
    tokio::pin!(is_late);
    loop {
        buffer.reserve(READ_BYTES);
        let read = tokio::select! {
            biased;
            read = pipe.read_buf(&mut buffer) => read,
            () = &mut is_late => return,
        };
        let length = match read {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        output.write(stream, buffer.split().freeze()).await;
        if over.is_cancelled() {
            last = last.saturating_sub(length);
            if last == 0 {
                return;
            }
        }
    }
}

async fn late_after(over: &CancellationToken) {
    over.cancelled().await;
    tokio::time::sleep(LAST_OUTPUT).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_is_not_held_to_is_a_line_of_its_log() {
        let bounds = Bounds {
            memory_bytes: Some(512 << 20),
            thousandths_of_cpus: Some(1500),
            processes: Some(64),
        };
        let all = Held { cpus: true, memory: true, processes: true };
        assert_eq!(unheld(&all, &bounds), None);
        assert_eq!(
            unheld(&Held::default(), &Bounds { processes: Some(64), ..Bounds::default() }),
            None
        );
        assert_eq!(
            unheld(&Held::default(), &bounds).unwrap(),
            "postq: this host has no cgroup that bounds the task by 1.5 CPUs (not held) and 512 MiB of memory (held \
             for each process alone)\n"
        );
    }
}
