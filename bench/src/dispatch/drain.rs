//! How long a full queue takes to be worked off.

use super::{
    Options, bare,
    bed::{Bed, job},
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
        let (ours, facts) = bed.measure(options.tasks, work_off(bed, options)).await?;
        bare::make(database).await;
        bare::fill(database, options.tasks).await?;
        bed.tidy().await;
        let drain = bare::drain(database, options.slots);
        let (reference, _) = bed.measure(options.tasks, drain).await?;
        rounds.push(Round { ours, reference, facts });
    }
    Ok(rounds)
}

/// From the worker's connecting to the last record.
async fn work_off(bed: &Bed, options: &Options) -> anyhow::Result<()> {
    let mut worker = Worker::connect(bed, options.slots).await?;
    worker.work(options.tasks).await
}
