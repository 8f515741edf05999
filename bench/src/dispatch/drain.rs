//! How long a full queue takes to be worked off.

use std::time::{Duration, Instant};

use super::{
    Options, bare,
    bed::{Bed, job, per_second},
    worker::Worker,
};
use crate::report::Round;

/// Many jobs of one task each.
pub(super) async fn jobs(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    rounds(bed, options, async || bed.submit_jobs(options.tasks).await).await
}

/// One job of many tasks.
pub(super) async fn one_job(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    rounds(bed, options, async || bed.submit(job(options.tasks)).await.map(drop)).await
}

async fn rounds(
    bed: &Bed,
    options: &Options,
    fill: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Round>> {
    let database = &bed.cluster.database;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        fill().await?;
        bed.tidy().await;
        let before = bed.spent()?;
        let ours = worked_off(bed, options).await?;
        let mut facts = bed.spent()?.since(before, options.tasks);
        facts.insert("tasks_per_second", per_second(options.tasks, ours));
        bare::make(database).await;
        bare::fill(database, options.tasks).await?;
        bed.tidy().await;
        let before = bed.spent()?;
        let reference = bare::drain(database, options.slots).await?;
        let spent = bed.spent()?.since(before, options.tasks);
        facts.insert("reference_postgres_us_per_task", spent["postgres_us_per_task"]);
        rounds.push(Round { ours, reference, facts });
    }
    Ok(rounds)
}

/// From the worker's connecting to the last record.
async fn worked_off(bed: &Bed, options: &Options) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut worker = Worker::connect(bed, options.slots).await?;
    worker.work(options.tasks).await?;
    Ok(began.elapsed())
}
