//! A coordinator with a database of its own, and what it takes. It is alone on its machine as a
//! coordinator: the processor time of all of them is counted.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use postq_proto::v1::{JobSpec, SubmitJobRequest, SubmitJobsRequest, TaskSpec};
use postq_runtime::channel::MESSAGE_LIMIT;
use postq_tests::{Cluster, Database};

use crate::spent::Spent;

/// What the worker serves.
pub(super) const HANDLER: &str = "nothing";
/// Jobs in one call: what a producer of many would take.
const CALL: usize = 1000;

/// A coordinator that serves, as a process.
pub(super) struct Bed {
    pub(super) cluster: Cluster,
}

/// What else there is to know, by name.
type Facts = BTreeMap<&'static str, f64>;

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

    /// What `work` on so many tasks takes, by the wall and on the processors that the coordinator and
    /// all connections of Postgres have used; and what each of these took for one task.
    pub(super) async fn measure(
        &self,
        tasks: usize,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<(Spent, Facts)> {
        let (coordinator, postgres) = processor_times()?;
        let began = Instant::now();
        work.await?;
        let wall = began.elapsed();
        let now = processor_times()?;
        let used = (now.0.saturating_sub(coordinator), now.1.saturating_sub(postgres));
        let each = |time: Duration| time.as_secs_f64() * 1e6 / tasks as f64;
        let facts = BTreeMap::from([
            ("coordinator_us_per_task", each(used.0)),
            ("postgres_us_per_task", each(used.1)),
            ("tasks_per_second", tasks as f64 / wall.as_secs_f64()),
        ]);
        Ok((Spent { wall, cpu: used.0 + used.1 }, facts))
    }
}

/// A job of so many tasks that do nothing and wait for nothing.
pub(super) fn job(tasks: usize) -> JobSpec {
    let task = || TaskSpec { handler: Some(HANDLER.to_owned()), ..Default::default() };
    let tasks = (0..tasks).map(|number| (format!("t{number}"), task())).collect();
    JobSpec { tasks, ..Default::default() }
}

/// Of all coordinators and of all of Postgres on this machine.
fn processor_times() -> anyhow::Result<(Duration, Duration)> {
    let (mut coordinator, mut postgres) = (Duration::ZERO, Duration::ZERO);
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(line) = fs::read_to_string(entry.path().join("stat")) else { continue };
        match processor_time(&line) {
            // As much of its name as the kernel keeps.
            Some(("postq-coordinat", time)) => coordinator += time,
            Some(("postgres", time)) => postgres += time,
            _ => {}
        }
    }
    Ok((coordinator, postgres))
}

/// The name of a process, and the time it has run, the kernel's for it included.
fn processor_time(stat: &str) -> Option<(&str, Duration)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let mut fields = tail.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // Told in hundredths of a second, whatever the kernel's own clock is.
    Some((head.split_once('(')?.1, Duration::from_millis((user + system) * 10)))
}
