//! What an agent is told at its start: options and `POSTQ_*` variables, parsed once.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use clap::Parser;

use crate::{executor::ExecutorName, logs::LogLimits, process::GuardBinary};

/// Runs tasks for PostQ coordinators: in a shell, and in Docker containers.
#[derive(Clone, Debug, Parser)]
#[command(name = "postq-agent", version)]
pub struct Options {
    /// Address of a coordinator; several are tried in turn.
    #[arg(
        long,
        env = "POSTQ_COORDINATOR",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7432"
    )]
    pub coordinator: Vec<String>,

    /// How many tasks run at once [default: the number of CPUs].
    #[arg(long, env = "POSTQ_SLOTS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub slots: Option<u16>,

    /// Directory for running tasks and unsent results; each agent needs its own.
    #[arg(long, env = "POSTQ_WORK_DIR", value_name = "DIR", default_value = "postq-agent")]
    pub work_dir: PathBuf,

    /// Name shown to people [default: the host's name].
    #[arg(long, env = "POSTQ_NAME", value_name = "NAME")]
    pub name: Option<String>,

    /// How tasks can be run here [default: shell, and docker if an engine answers].
    #[arg(long, env = "POSTQ_EXECUTORS", value_name = "shell,docker", value_delimiter = ',')]
    pub executors: Vec<ExecutorName>,

    /// A word about this host that tasks can ask for; may be given several times.
    #[arg(long = "label", env = "POSTQ_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_label)]
    pub labels: Vec<(String, String)>,

    /// Token for the coordinator.
    #[arg(long, env = "POSTQ_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// After the first SIGTERM or Ctrl-C: how long running tasks may go on before they are handed
    /// back to the queue.
    #[arg(long, env = "POSTQ_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,

    /// How much output of one attempt is kept: the first and the last half of it.
    #[arg(
        long,
        env = "POSTQ_LOG_LIMIT",
        value_name = "SIZE",
        default_value_t = ByteSize::mib(64)
    )]
    pub log_limit: ByteSize,
}

/// What the parts of an agent are made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of coordinators, at least one.
    pub coordinators: Vec<String>,
    /// How many tasks run at once.
    pub slots: u16,
    /// The agent's own directory.
    pub work_dir: PathBuf,
    /// For people.
    pub name: String,
    /// Of this machine.
    pub host: String,
    /// Those asked for; none means whatever there is.
    pub executors: Vec<ExecutorName>,
    /// What tasks can ask for.
    pub labels: BTreeMap<String, String>,
    /// For the coordinator.
    pub token: Option<String>,
    /// How long running tasks may go on when the agent is to leave.
    pub drain_timeout: Duration,
    /// Bounds of the output of one attempt.
    pub log_limits: LogLimits,
    /// The binary that guards tasks.
    pub guard: GuardBinary,
}

impl From<Options> for Config {
    fn from(options: Options) -> Self {
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_else(|| "unknown".to_owned());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            coordinators: options.coordinator,
            slots: options.slots.unwrap_or_else(|| u16::try_from(cpus).unwrap_or(u16::MAX)),
            work_dir: options.work_dir,
            name: options.name.unwrap_or_else(|| host.clone()),
            host,
            executors: options.executors,
            labels: options.labels.into_iter().collect(),
            token: options.token,
            drain_timeout: options.drain_timeout,
            log_limits: LogLimits { cap_bytes: options.log_limit.as_u64(), ..LogLimits::default() },
            guard: GuardBinary::default(),
        }
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is written KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("postq-agent").chain(args.iter().copied()))
    }

    #[test]
    fn every_option_is_also_a_variable_and_no_secret_is_shown() {
        let command = Options::command();
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let name = argument.get_id().as_str();
            if name == "version" {
                continue;
            }
            let variable = argument.get_env().expect(name).to_str().unwrap();
            assert!(variable.starts_with("POSTQ_"), "{variable}");
            assert_eq!(argument.is_hide_env_values_set(), name == "token", "{name}");
        }
    }

    #[test]
    fn lists_sizes_and_durations_are_understood() {
        let options = parse(&[
            "--coordinator=http://a:1,b:2",
            "--executors=shell,docker",
            "--label=zone=eu",
            "--label=gpu=",
            "--drain-timeout=1m 5s",
            "--log-limit=1MiB",
            "--slots=3",
        ])
        .unwrap();
        let config = Config::from(options);
        assert_eq!(config.coordinators, ["http://a:1", "b:2"]);
        assert_eq!(config.executors, [ExecutorName::Shell, ExecutorName::Docker]);
        assert_eq!(config.labels["zone"], "eu");
        assert_eq!(config.labels["gpu"], "");
        assert_eq!(config.drain_timeout, Duration::from_secs(65));
        assert_eq!(config.log_limits.cap_bytes, 1024 * 1024);
    }

    #[test]
    fn nonsense_is_refused_with_the_option_named() {
        for (args, wanted) in [
            (["--slots=0"], "--slots"),
            (["--label=x"], "KEY=VALUE"),
            (["--executors=kubernetes"], "this agent has shell and docker"),
            (["--drain-timeout=soon"], "--drain-timeout"),
        ] {
            let error = parse(&args).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
