//! The command line as a whole: which sub-command, and running it.
//!
//! It knows nothing of what a sub-command does.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    command::{
        agents, cancel, dag, dead_letters, get, logs, ls, migrate, queue, retry, run, schedule,
        submit, up, wait, watch, workspace,
    },
    embedded::supervise::{Enter, Supervise},
    failure::{Exit, Failure},
};

/// Runs workflows of shell and Docker tasks from a PostgreSQL database.
#[derive(Debug, Parser)]
#[command(name = "postq", version, after_help = Exit::help(), after_long_help = Exit::help())]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[allow(clippy::large_enum_variant)] // there is one in a process
#[derive(Debug, Subcommand)]
enum Command {
    /// Run one job here, on a Postgres, a coordinator and agents of its own.
    Run(run::Run),
    /// Keep a Postgres, a coordinator and agents running here until Ctrl-C.
    Up(up::Up),
    /// Submit a job.
    Submit(submit::Submit),
    /// Show a job and its tasks.
    Get(get::Get),
    /// List jobs, newest first.
    Ls(ls::Ls),
    /// Wait until jobs have ended.
    Wait(wait::Wait),
    /// Watch many jobs: those that a filter chooses, as they change.
    Watch(watch::Watch),
    /// Print what the tasks of a job wrote.
    Logs(logs::Logs),
    /// Cancel jobs.
    Cancel(cancel::Cancel),
    /// Run again what did not succeed of a job, as a new job.
    Retry(retry::Retry),
    /// Look after schedules, which make jobs again and again.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Check a job document and show its graph; needs no coordinator.
    Dag(dag::Dag),
    /// List agents, or make one leave.
    Agents(agents::Agents),
    /// Look after queues.
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Look after what failed for good.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Bring a database to this release's schema.
    Migrate(migrate::Migrate),
    /// Look at the files of a job.
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    #[command(hide = true)]
    Supervise(Supervise),
    #[command(hide = true)]
    Enter(Enter),
}

impl Options {
    /// Carries the command out and says on standard error why it was not.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Supervise(supervise) => supervise.run(),
            Command::Enter(enter) => enter.run(),
            command => end_with(in_runtime(command)),
        }
    }
}

fn in_runtime(command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(Box::pin(command.run()));
    // What reads standard input or a slow disk is not waited for.
    runtime.shutdown_background();
    outcome
}

impl Command {
    async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Run(command) => command.run().await,
            Self::Up(command) => command.run().await,
            Self::Submit(command) => command.run().await,
            Self::Get(command) => command.run().await,
            Self::Ls(command) => command.run().await,
            Self::Wait(command) => command.run().await,
            Self::Watch(command) => command.run().await,
            Self::Logs(command) => command.run().await,
            Self::Cancel(command) => command.run().await,
            Self::Retry(command) => command.run().await,
            Self::Schedule(command) => command.run().await,
            Self::Dag(command) => command.run(),
            Self::Agents(command) => command.run().await,
            Self::Queue(command) => command.run().await,
            Self::DeadLetters(command) => command.run().await,
            Self::Migrate(command) => command.run().await,
            Self::Workspace(command) => command.run().await,
            Self::Supervise(_) | Self::Enter(_) => {
                unreachable!("these two run without a runtime of many threads")
            }
        }
    }
}

fn end_with(outcome: Result<Exit, Failure>) -> ExitCode {
    let exit = outcome.unwrap_or_else(|failure| {
        for line in &failure.lines {
            eprintln!("postq: {line}");
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn help_of_the_whole_names_every_exit_code() {
        let help = Options::command().render_long_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(exit.meaning()), "{exit:?}");
        }
    }
}
