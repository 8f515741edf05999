//! What an agent is told at its start: options and `POSTQ_*` variables, parsed once.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use clap::{ArgAction, Parser};
use postq_common::spec::{self, Resources};

use crate::{
    executor::{AllowedMount, DockerOptions, ExecutorName, ImageLimits, ShellOptions},
    logs::LogLimits,
    process::{Account, GuardBinary, Umask},
    resources,
    supervisor::WhenAlone,
    workspace::Limits,
};

/// Runs tasks for PostQ coordinators: in a shell, and in Docker containers.
#[derive(Clone, Debug, Parser)]
#[command(name = "postq-agent", version)]
pub struct Options {
    /// Address of a coordinator; several are tried in turn, and so are all that a name has, which is
    /// looked up whenever one is gone.
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

    /// How many CPUs its tasks may ask for together, as 3.5 [default: those there are].
    #[arg(long, env = "POSTQ_CPUS", value_name = "N", value_parser = parse_cpus)]
    pub cpus: Option<u64>,

    /// How much memory its tasks may ask for together, as 8GiB [default: what there is].
    #[arg(long, env = "POSTQ_MEMORY", value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,

    /// The GPUs its tasks may ask for: how many, or how many of each name, as a100=2,t4=1, which
    /// tasks ask for as gpus.a100. They are numbered from 0 in this order, as nvidia-smi lists them, and
    /// each task sees those that it was given.
    #[arg(long, env = "POSTQ_GPUS", value_name = "N|NAME=N", value_delimiter = ',', value_parser = parse_gpus)]
    pub gpus: Vec<(String, u64)>,

    /// Anything else that its tasks may ask for, counted; may be given several times.
    #[arg(long = "resource", env = "POSTQ_RESOURCES", value_name = "NAME=N", value_delimiter = ',', value_parser = parse_resource)]
    pub resources: Vec<(String, u64)>,

    /// Token for the coordinator. An argument is seen by everybody on this host: better use
    /// --token-file or the variable.
    #[arg(long, env = "POSTQ_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// File with the token for the coordinator, written as the coordinator's own: the first line
    /// that is `TOKEN` or `agent TOKEN` counts. --token goes first.
    #[arg(long, env = "POSTQ_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// After the first SIGTERM or Ctrl-C: how long running tasks may go on before they are handed
    /// back to the queue.
    #[arg(long, env = "POSTQ_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,

    /// What becomes of running tasks when no coordinator was heard for 5 s: they may finish, or all of
    /// them stop, as those do in any case that must not overlap another execution.
    #[arg(long, env = "POSTQ_WHEN_ALONE", value_enum, default_value_t)]
    pub when_alone: WhenAlone,

    /// How much output of one attempt is kept: the first and the last half of it.
    #[arg(
        long,
        env = "POSTQ_LOG_LIMIT",
        value_name = "SIZE",
        default_value_t = ByteSize::mib(64)
    )]
    pub log_limit: ByteSize,

    /// How much finished directories may take, which are kept for the next tasks; 0 keeps none.
    #[arg(
        long,
        env = "POSTQ_CACHE_SIZE",
        value_name = "SIZE",
        default_value_t = ByteSize::gib(10)
    )]
    pub cache_size: ByteSize,

    /// Whether files of a task that waits are fetched while all slots are taken, into what --cache-size
    /// allows.
    #[arg(
        long,
        env = "POSTQ_PREFETCH",
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set
    )]
    pub prefetch: bool,

    /// How much the files of one task may be.
    #[arg(
        long,
        env = "POSTQ_WORKSPACE_SIZE",
        value_name = "SIZE",
        default_value_t = ByteSize::gib(100)
    )]
    pub workspace_size: ByteSize,

    /// How many files and directories one task may have.
    #[arg(long, env = "POSTQ_WORKSPACE_FILES", value_name = "N", default_value_t = 2_000_000)]
    pub workspace_files: usize,

    /// How much output of all attempts may wait here for a coordinator; tasks that write more
    /// wait as well.
    #[arg(
        long,
        env = "POSTQ_LOG_SPOOL_LIMIT",
        value_name = "SIZE",
        default_value_t = ByteSize::gib(1)
    )]
    pub log_spool_limit: ByteSize,

    /// A file or directory of this host that Docker tasks may mount, with all below it; with :ro,
    /// only to read. May be given several times.
    #[arg(
        long = "allow-mount",
        env = "POSTQ_ALLOW_MOUNTS",
        value_name = "PATH[:ro]",
        value_delimiter = ','
    )]
    pub allow_mounts: Vec<AllowedMount>,

    /// A network of the Docker engine that tasks may join, beside bridge and none. May be given
    /// several times.
    #[arg(
        long = "allow-network",
        env = "POSTQ_ALLOW_NETWORKS",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub allow_networks: Vec<String>,

    /// Credentials of registries, as `docker login` writes them [default: the config.json of the
    /// agent's user].
    #[arg(long, env = "POSTQ_REGISTRY_AUTH_FILE", value_name = "FILE")]
    pub registry_auth_file: Option<PathBuf>,

    /// An image with /bin/sh and chown, which give what a container made as another user to the agent's
    /// [default: the task's own image].
    #[arg(long, env = "POSTQ_CHOWN_IMAGE", value_name = "IMAGE")]
    pub chown_image: Option<String>,

    /// How long an image is kept that this agent has pulled and that no task of it has, as 7d
    /// [default: for ever].
    #[arg(long, env = "POSTQ_IMAGE_GC_MAX_AGE", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub image_gc_max_age: Option<Duration>,

    /// How much the images may take that this agent has pulled: beyond that go those that were of no
    /// use for longest [default: any amount].
    #[arg(long, env = "POSTQ_IMAGE_GC_MAX_BYTES", value_name = "SIZE")]
    pub image_gc_max_bytes: Option<ByteSize>,

    /// Directory with a file for each secret that tasks may ask for by name.
    #[arg(long, env = "POSTQ_SECRETS_DIR", value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,

    /// User that shell tasks run as, by name or number; the agent has to be root then.
    #[arg(long, env = "POSTQ_RUN_AS", value_name = "USER")]
    pub run_as: Option<Account>,

    /// Which bits files made by shell tasks do not have, in octal.
    #[arg(long, env = "POSTQ_UMASK", value_name = "BITS", default_value_t)]
    pub umask: Umask,

    /// How many processes and threads one task may have; 0: any number. Containers are held to it by
    /// the engine, shell tasks by their cgroup where the agent was given the controller `pids`.
    #[arg(long, env = "POSTQ_PIDS_LIMIT", value_name = "N", default_value_t = 4096)]
    pub pids_limit: u32,
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
    /// What its tasks can take together.
    pub resources: Resources,
    /// The GPUs among them, in the order of their numbers.
    pub gpus: Vec<(String, u64)>,
    /// For the coordinator.
    pub token: Option<String>,
    /// How long running tasks may go on when the agent is to leave.
    pub drain_timeout: Duration,
    /// What becomes of running tasks when no coordinator is heard.
    pub when_alone: WhenAlone,
    /// Bounds of the output of attempts.
    pub log_limits: LogLimits,
    /// Bounds of the files of tasks.
    pub file_limits: FileLimits,
    /// How shell tasks run.
    pub shell: ShellOptions,
    /// Where secrets lie as files.
    pub secrets_dir: Option<PathBuf>,
    /// What Docker tasks may ask for.
    pub docker: DockerOptions,
}

/// Bounds of the files of tasks.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// Of one task.
    pub workspace: Limits,
    /// Of all finished directories that are kept, in bytes.
    pub cache_bytes: u64,
    /// Whether files are fetched for tasks that wait.
    pub fetches_ahead: bool,
}

/// Why a token file gives no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file system refuses.
    #[error("the token file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// No line of it is for us.
    #[error("{path} has no token for {role}s; add a line `{role} TOKEN`, or one of TOKEN alone")]
    NoToken {
        /// The file.
        path: PathBuf,
        /// `agent` or `client`.
        role: &'static str,
    },
}

/// The first token of a file that is good for `role` (`agent` or `client`). The file is written as
/// the coordinator's: a line is a token for everybody, or a role and its token.
pub fn token_in(path: &Path, role: &'static str) -> Result<String, TokenError> {
    let text = fs::read_to_string(path)
        .map_err(|source| TokenError::Unreadable { path: path.to_owned(), source })?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut tokens =
        lines.filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [token] => Some(token.to_owned()),
            [of, token] if of == role => Some(token.to_owned()),
            _ => None,
        });
    tokens.next().ok_or_else(|| TokenError::NoToken { path: path.to_owned(), role })
}

impl TryFrom<Options> for Config {
    type Error = TokenError;

    fn try_from(options: Options) -> Result<Self, Self::Error> {
        let token = match (options.token, &options.token_file) {
            (None, Some(file)) => Some(token_in(file, "agent")?),
            (token, _) => token,
        };
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_else(|| "unknown".to_owned());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let processes = (options.pids_limit > 0).then_some(options.pids_limit);
        Ok(Self {
            coordinators: options.coordinator,
            slots: options.slots.unwrap_or_else(|| u16::try_from(cpus).unwrap_or(u16::MAX)),
            work_dir: options.work_dir,
            name: options.name.unwrap_or_else(|| host.clone()),
            host,
            executors: options.executors,
            labels: options.labels.into_iter().collect(),
            resources: resources::of(
                options.cpus,
                options.memory,
                options.gpus.clone(),
                options.resources,
            ),
            gpus: options.gpus,
            token,
            drain_timeout: options.drain_timeout,
            when_alone: options.when_alone,
            log_limits: LogLimits {
                cap_bytes: options.log_limit.as_u64(),
                agent_bytes: options.log_spool_limit.as_u64(),
                ..LogLimits::default()
            },
            file_limits: FileLimits {
                workspace: Limits {
                    bytes: options.workspace_size.as_u64(),
                    entries: options.workspace_files,
                    ..Limits::default()
                },
                cache_bytes: options.cache_size.as_u64(),
                fetches_ahead: options.prefetch && options.cache_size.as_u64() > 0,
            },
            shell: ShellOptions {
                guard: GuardBinary::default(),
                run_as: options.run_as,
                umask: options.umask,
                processes,
            },
            secrets_dir: options.secrets_dir,
            docker: DockerOptions {
                mounts: options.allow_mounts,
                networks: options.allow_networks,
                auth_file: options.registry_auth_file,
                chown_image: options.chown_image,
                processes,
                image_limits: ImageLimits {
                    age: options.image_gc_max_age,
                    bytes: options.image_gc_max_bytes.map(|size| size.as_u64()),
                },
            },
        })
    }
}

fn parse_cpus(text: &str) -> Result<u64, String> {
    let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    let number = number.map_or(serde_json::Value::Null, serde_json::Value::Number);
    spec::amount(spec::CPUS, &number).map_err(str::to_owned)
}

fn parse_memory(text: &str) -> Result<u64, String> {
    spec::amount(spec::MEMORY, &text.into()).map_err(str::to_owned)
}

/// Each is numbered, so that a slip of the pen must not make the agent number them for ever.
const MOST_GPUS: u64 = 1024;

fn parse_gpus(text: &str) -> Result<(String, u64), String> {
    let (name, count) = match text.parse() {
        Ok(count) => ("gpus".to_owned(), count),
        Err(_) => parse_resource(text).map(|(name, count)| (format!("gpus.{name}"), count))?,
    };
    if count > MOST_GPUS {
        return Err(format!("{count} are more GPUs than a host has; it may be {MOST_GPUS}"));
    }
    Ok((name, count))
}

fn parse_resource(text: &str) -> Result<(String, u64), String> {
    let (name, count) = text.split_once('=').unwrap_or_default();
    match count.parse() {
        Ok(count) if !name.is_empty() && ![spec::CPUS, spec::MEMORY].contains(&name) => {
            Ok((name.to_owned(), count))
        }
        Ok(_) if !name.is_empty() => Err(format!("{name} has an option of its own, --{name}")),
        _ => Err("a resource is written NAME=N".to_owned()),
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
            "--log-spool-limit=2GiB",
            "--slots=3",
            "--umask=027",
            "--pids-limit=0",
            "--prefetch=false",
            "--image-gc-max-age=7d",
            "--image-gc-max-bytes=20GiB",
        ])
        .unwrap();
        let config = Config::try_from(options).unwrap();
        assert_eq!(config.shell.umask.to_string(), "027");
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(config.docker.image_limits.age, Some(week));
        assert_eq!(config.docker.image_limits.bytes, Some(20 << 30));
        assert_eq!((config.shell.processes, config.docker.processes), (None, None));
        assert!(!config.file_limits.fetches_ahead);
        assert_eq!(config.coordinators, ["http://a:1", "b:2"]);
        assert_eq!(config.executors, [ExecutorName::Shell, ExecutorName::Docker]);
        assert_eq!(config.labels["zone"], "eu");
        assert_eq!(config.labels["gpu"], "");
        assert_eq!(config.drain_timeout, Duration::from_secs(65));
        assert_eq!(config.log_limits.cap_bytes, 1024 * 1024);
        assert_eq!(config.log_limits.agent_bytes, 2 * 1024 * 1024 * 1024);
    }

    #[test]
    fn resources_are_declared_or_detected() {
        let resources = |args: &[&str]| Config::try_from(parse(args).unwrap()).unwrap().resources;
        let found = resources(&[]);
        assert!(found["cpus"] >= 1000 && found["memory"] > 1 << 20, "{found:?}");
        assert!(!found.contains_key("gpus"));
        let declared = resources(&[
            "--cpus=1.5",
            "--memory=2GiB",
            "--gpus=a100=2,t4=1",
            "--resource=licence=3",
        ]);
        let wanted =
            [("cpus", 1500), ("gpus.a100", 2), ("gpus.t4", 1), ("licence", 3), ("memory", 2 << 30)];
        assert_eq!(declared, wanted.map(|(name, n)| (name.to_owned(), n)).into());
        assert_eq!(resources(&["--gpus=4"])["gpus"], 4);
    }

    #[test]
    fn a_token_file_gives_the_first_token_for_the_role() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = |text: &str, role| {
            fs::write(file.path(), text).unwrap();
            token_in(file.path(), role)
        };
        let text = "# ours\n\nclient c\n agent a\nagent b\n";
        assert_eq!(token(text, "agent").unwrap(), "a");
        assert_eq!(token(text, "client").unwrap(), "c");
        assert_eq!(token("all\nagent a\n", "agent").unwrap(), "all");
        let error = token("client c\n", "agent").unwrap_err().to_string();
        assert!(error.contains("has no token for agents"), "{error}");

        fs::write(file.path(), text).unwrap();
        let path = format!("--token-file={}", file.path().display());
        let config = |args: &[&str]| Config::try_from(parse(args).unwrap());
        assert_eq!(config(&[&path]).unwrap().token.as_deref(), Some("a"));
        assert_eq!(config(&[&path, "--token=t"]).unwrap().token.as_deref(), Some("t"));
        let error = config(&["--token-file=/nowhere/tokens"]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/tokens"), "{error}");
    }

    #[test]
    fn nonsense_is_refused_with_the_option_named() {
        for (args, wanted) in [
            (["--slots=0"], "--slots"),
            (["--label=x"], "KEY=VALUE"),
            (["--resource=x"], "NAME=N"),
            (["--resource=memory=5"], "--memory"),
            (["--cpus=many"], "as 1.5"),
            (["--memory=1 GiB"], "as 512MiB"),
            (["--gpus=a100"], "NAME=N"),
            (["--gpus=1025"], "it may be 1024"),
            (["--gpus=t4=99999999999"], "it may be 1024"),
            (["--executors=kubernetes"], "this agent has shell and docker"),
            (["--drain-timeout=soon"], "--drain-timeout"),
            (["--umask=0900"], "as 027"),
            (["--umask=077777"], "as 027"),
            (["--umask=0277"], "would keep a task from its own files"),
            (["--pids-limit=-1"], "--pids-limit"),
        ] {
            let error = parse(&args).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
