//! Runs a command line with `sh -c` under a guard.

use std::{fs, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::{
    FutureExt,
    future::{Either, join, select},
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::task::{Control, Ended, Running, Started, Task};
use crate::{
    logs::{Output, Stream},
    process::{GuardBinary, Process, Spec},
};

const SHELL: &str = "/bin/sh";
/// The kernel refuses a single argument of 128 KiB; a longer command line goes into a file.
const LONGEST_ARGUMENT: usize = 100 * 1024;
/// One read of a pipe, in bytes: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// How long output is read on when the end of a task is unclear.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// The shell executor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shell {
    guard: Arc<GuardBinary>,
}

impl Shell {
    pub(crate) fn new(guard: GuardBinary) -> Self {
        Self { guard: Arc::new(guard) }
    }

    pub(crate) async fn start(&self, task: &Task, command: &str, output: Output) -> Started {
        let not_started = |error: io::Error| Ended::NotStarted {
            why: format!("the shell could not be started: {error}"),
            is_final: false,
        };
        let spec = Spec {
            program: SHELL.to_owned(),
            args: arguments(task, command).map_err(not_started)?,
            env: task.env.clone(),
            cwd: task.scratch.workspace(),
        };
        let process = Process::spawn(&self.guard, &spec).await.map_err(not_started)?;
        let (stdout, stderr, control, ending) = process.into_parts();
        let ended = async move {
            let pumps =
                join(pump(stdout, Stream::Stdout, &output), pump(stderr, Stream::Stderr, &output));
            match select(Box::pin(ending.ended()), Box::pin(pumps)).await {
                Either::Right((_, ending)) => Ended::from(ending.await),
                Either::Left((ended, pumps)) => {
                    let ended = Ended::from(ended);
                    if matches!(ended, Ended::Unknown(_)) {
                        // Who escaped a guard that died may hold the pipes for ever.
                        let _ = tokio::time::timeout(LAST_OUTPUT, pumps).await;
                    } else {
                        pumps.await;
                    }
                    ended
                }
            }
        };
        Ok(Running { control: Control::Shell(control), ended: ended.boxed() })
    }
}

fn arguments(task: &Task, command: &str) -> io::Result<Vec<String>> {
    if command.len() <= LONGEST_ARGUMENT {
        return Ok(vec!["-c".to_owned(), command.to_owned()]);
    }
    let script = task.scratch.script();
    tokio::task::block_in_place(|| fs::write(&script, command))?;
    Ok(vec![script.to_string_lossy().into_owned()])
}

/// Hands over what comes until the last process that holds the pipe has ended.
async fn pump(mut pipe: impl AsyncRead + Unpin, stream: Stream, output: &Output) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_BYTES);
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => output.write(stream, buffer.split().freeze()).await,
        }
    }
}
