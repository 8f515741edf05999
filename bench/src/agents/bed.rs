//! What all figures stand on: a coordinator, and one agent whose process is known.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use postq_tests::{Cluster, Database, PATIENCE, eventually};
use serde_json::Value;
use uuid::Uuid;

const NAME: &str = "bench";
/// Whether a job has ended is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(600);

/// A coordinator and an agent. Both end with it.
pub(super) struct Bed {
    pub(super) cluster: Cluster,
    agent: Child,
}

impl Bed {
    /// Starts both and waits until the agent is connected.
    pub(super) async fn start(slots: usize, more: &[&str]) -> anyhow::Result<Self> {
        let mut cluster = Cluster::create(Database::create().await);
        cluster.add_coordinator(&[]).await;
        let slots = slots.to_string();
        let agent = Command::new(&cluster.binaries().agent)
            .args(["--coordinator", &cluster.url(0), "--name", NAME, "--slots", &slots])
            .args(["--executors", "shell,docker", "--work-dir"])
            .arg(cluster.path("agent"))
            .args(more)
            .env("POSTQ_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()
            .context("the agent cannot be started")?;
        let client = cluster.client();
        eventually("the agent is connected", PATIENCE, async || {
            client.agents().await.ok()?.contains_key(NAME).then_some(())
        })
        .await;
        Ok(Self { cluster, agent })
    }

    /// The process of the agent.
    pub(super) fn pid(&self) -> u32 {
        self.agent.id()
    }

    /// From the submit of a job to its success, as the database has it.
    pub(super) async fn time(&self, document: &Value) -> anyhow::Result<(Uuid, Duration)> {
        let began = Instant::now();
        let id = self.cluster.submit(document).await;
        let query = format!(
            "select case when finished_at is null then '' else state::text end
             from postq.job where id = '{id}'"
        );
        loop {
            let state: String = self.cluster.database.value(&query).await;
            match state.as_str() {
                "" if began.elapsed() < LIMIT => tokio::time::sleep(LOOK_EVERY).await,
                "succeeded" => return Ok((id, began.elapsed())),
                state => bail!("job {id} has not succeeded in time: {state}"),
            }
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Its tasks end with it.
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// How long a command line takes; what it says.
pub(super) fn time_of(command: &mut Command) -> anyhow::Result<(Duration, String)> {
    let began = Instant::now();
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    let took = began.elapsed();
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((took, String::from_utf8_lossy(&output.stdout).into_owned()))
}
