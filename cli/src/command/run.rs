//! `postq run FILE`: one job on a private cluster that exists for it alone.
//!
//! Invariant: however it ends, the cluster is stopped and its directory removed, but for logs that
//! an error names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use postq_common::dag::Plan;
use postq_runtime::Shutdown;

use crate::{
    client::Coordinator,
    command::{agents, migrate, submit},
    document::{Checked, Document},
    embedded::{
        Agents, Binaries, Cluster, ClusterConfig, Durability,
        directory::{self, ScratchDirectory},
    },
    failure::{Exit, Failure},
    files,
    output::Output,
    watch::{self, Shown},
};

/// Run one job here and stop everything again.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    document: Document,
    /// Directory whose files the first tasks start from.
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Empty or new directory for the files that the job leaves.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many agents.
    #[arg(long, env = "POSTQ_AGENTS", default_value_t = 2, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=100))]
    agents: u16,
    /// How many tasks each agent runs at once; the agent's own default otherwise.
    #[arg(long, env = "POSTQ_SLOTS", value_name = "COUNT")]
    slots: Option<u32>,
    /// Database to use instead of a private Postgres. The agents here then also take what waits in
    /// it from others.
    #[arg(long, env = "POSTQ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Do not print what the tasks write.
    #[arg(long)]
    no_logs: bool,
    #[command(flatten)]
    output: Output,
}

impl Run {
    /// Checks everything that can be checked before anything is started.
    pub async fn run(self) -> Result<Exit, Failure> {
        let job = self.document.read()?;
        if let Some(out) = &self.out {
            must_be_empty(out)?;
        }
        let shutdown = Shutdown::new();
        shutdown
            .begin_on_signal()
            .map_err(|error| Failure::new(Exit::Machine, format!("no signal handlers: {error}")))?;
        let scratch = ScratchDirectory::create()?;
        let config = self.config(scratch.path())?;
        let interrupted = shutdown.token();
        if let Some(url) = &self.database_url {
            migrate::apply(url).await?;
        }
        let mut cluster = tokio::select! {
            cluster = Cluster::start(config) => match cluster {
                Ok(cluster) => cluster,
                Err(error) => {
                    scratch.keep_logs();
                    return Err(error.into());
                }
            },
            () = interrupted.cancelled() => return Err(stopped()),
        };
        let client = cluster.client();
        let outcome = tokio::select! {
            outcome = self.work(&client, job) => outcome,
            error = cluster.tend(|line| eprintln!("postq: {line}")) => {
                cluster.stop().await;
                scratch.keep_logs();
                return Err(error.into());
            }
            () = interrupted.cancelled() => Err(stopped()),
        };
        cluster.stop().await;
        outcome
    }

    async fn work(&self, client: &Coordinator, job: Checked) -> Result<Exit, Failure> {
        let Checked { mut spec, plan } = job;
        must_be_possible(&plan, client).await?;
        if let Some(directory) = &self.workspace {
            spec.input = files::upload(client, directory).await?;
        }
        let id = submit::submit(client, spec).await?.id;
        let shown = Shown { json: self.output.is_json(), logs: !self.no_logs };
        let board = watch::follow(client, &id, shown).await?;
        let exit = watch::exit_of(&board);
        if let (Exit::Success, Some(out)) = (exit, &self.out) {
            let left = files::snapshot(client, &id, "").await?;
            files::download(client, &left, out).await?;
            if !shown.json {
                eprintln!("the job's files are in {}", out.display());
            }
        }
        Ok(exit)
    }

    fn config(&self, scratch: &Path) -> Result<ClusterConfig, Failure> {
        Ok(ClusterConfig {
            binaries: Binaries::locate()?,
            directory: scratch.to_owned(),
            durability: Durability::Throwaway,
            store: self.database_url.as_deref().map(directory::store_of).transpose()?,
            database_url: self.database_url.clone(),
            listen: None,
            agents: Agents { count: self.agents.into(), slots: self.slots, executors: None },
            tokens: None,
            coordinator_arguments: Vec::new(),
            environment: Vec::new(),
        })
    }
}

fn stopped() -> Failure {
    Failure::new(Exit::Interrupted, "stopped; nothing of the job is left")
}

fn must_be_empty(out: &Path) -> Result<(), Failure> {
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => {
                let line =
                    format!("{} is not empty; empty it or name another --out", out.display());
                Err(Failure::new(Exit::Invalid, line))
            }
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::of_file("write", out, &error)),
    }
}

/// A task that no agent here can execute would wait for ever.
async fn must_be_possible(plan: &Plan, client: &Coordinator) -> Result<(), Failure> {
    let agents = agents::list(client, false).await?;
    let can =
        |executor: &str| agents.iter().any(|agent| agent.executors.iter().any(|e| e == executor));
    let impossible = plan.tasks().iter().filter_map(|task| match task.executor().as_str() {
        "docker" if !can("docker") => Some(format!(
            "task {}: needs Docker, and no Docker engine answers on this machine; start one, or \
             take `image` out",
            task.name()
        )),
        "handler" => Some(format!(
            "task {}: needs a language worker, and `postq run` has none; use `postq up` and connect \
             the worker to it",
            task.name()
        )),
        _ => None,
    });
    let lines: Vec<String> = impossible.collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::of_all(Exit::Machine, lines)) }
}
