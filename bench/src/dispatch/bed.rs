//! A coordinator with a database of its own, and the processor time of its processes.

use std::{collections::BTreeMap, fs, time::Duration};

use postq_proto::v1::{JobSpec, SubmitJobRequest, SubmitJobsRequest, TaskSpec};
use postq_runtime::channel::MESSAGE_LIMIT;
use postq_tests::{Cluster, Database};

/// What the worker serves.
pub(super) const HANDLER: &str = "nothing";
/// Jobs in one call: what a producer of many would take.
const CALL: usize = 1000;

/// A coordinator that serves, as a process.
pub(super) struct Bed {
    pub(super) cluster: Cluster,
}

/// Processor seconds so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    coordinator: f64,
    postgres: f64,
}

impl Bed {
    pub(super) async fn make() -> anyhow::Result<Self> {
        // Without the clock that tests move: each look at it would cost a query.
        let mut cluster = Cluster::create(Database::create_empty().await);
        cluster.environment.push(("POSTQ_LOG".into(), "warn".into()));
        cluster.add_coordinator(&[]).await;
        Ok(Self { cluster })
    }

    /// Submits that many jobs of one task.
    pub(super) async fn submit_jobs(&self, count: usize) -> anyhow::Result<()> {
        let job = || SubmitJobRequest { job: Some(job(1)), ..Default::default() };
        let mut client = self.cluster.client().jobs().max_encoding_message_size(MESSAGE_LIMIT);
        for from in (0..count).step_by(CALL) {
            let jobs = (from..count.min(from + CALL)).map(|_| job()).collect();
            client.submit_jobs(SubmitJobsRequest { jobs }).await?;
        }
        Ok(())
    }

    /// Submits one job.
    pub(super) async fn submit(&self, job: JobSpec) -> anyhow::Result<String> {
        let request = SubmitJobRequest { job: Some(job), ..Default::default() };
        let mut client = self.cluster.client().jobs().max_encoding_message_size(MESSAGE_LIMIT);
        Ok(client.submit_job(request).await?.into_inner().id)
    }

    /// Vacuums and analyses, so that no round pays for the one before.
    pub(super) async fn tidy(&self) {
        self.cluster.database.execute("vacuum analyze").await;
    }

    /// What the coordinator and all connections of its Postgres have used.
    pub(super) fn spent(&self) -> anyhow::Result<Spent> {
        let mut spent = Spent { coordinator: 0.0, postgres: 0.0 };
        for entry in fs::read_dir("/proc")?.flatten() {
            let Ok(line) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((name, seconds)) = processor_time(&line) else { continue };
            match name {
                "postq-coordinat" => spent.coordinator += seconds,
                "postgres" => spent.postgres += seconds,
                _ => {}
            }
        }
        Ok(spent)
    }
}

impl Spent {
    /// Microseconds per task since then.
    pub(super) fn since(self, before: Self, tasks: usize) -> BTreeMap<&'static str, f64> {
        let each = |seconds: f64| seconds * 1e6 / tasks as f64;
        BTreeMap::from([
            ("coordinator_us_per_task", each(self.coordinator - before.coordinator)),
            ("postgres_us_per_task", each(self.postgres - before.postgres)),
        ])
    }
}

/// A job of so many tasks that do nothing and wait for nothing.
pub(super) fn job(tasks: usize) -> JobSpec {
    let task = || TaskSpec { handler: Some(HANDLER.to_owned()), ..Default::default() };
    let tasks = (0..tasks).map(|number| (format!("t{number}"), task())).collect();
    JobSpec { tasks, ..Default::default() }
}

/// So many in so much time.
pub(super) fn per_second(tasks: usize, took: Duration) -> f64 {
    tasks as f64 / took.as_secs_f64()
}

/// The name of a process and the seconds it has run, its own and the kernel's for it.
fn processor_time(stat: &str) -> Option<(&str, f64)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let mut fields = tail.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    let ticks = 100.0;
    Some((name, (user + system) / ticks))
}
