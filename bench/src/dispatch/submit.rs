//! How long a queue takes to be filled, a thousand jobs in a call.

use std::time::Instant;

use super::{
    Options, bare,
    bed::{Bed, per_second},
};
use crate::report::Round;

pub(super) async fn measure(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let database = &bed.cluster.database;
    bare::make(database).await;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let before = bed.spent()?;
        let began = Instant::now();
        bed.submit_jobs(options.tasks).await?;
        let ours = began.elapsed();
        let mut facts = bed.spent()?.since(before, options.tasks);
        facts.insert("jobs_per_second", per_second(options.tasks, ours));
        let reference = bare::fill(database, options.tasks).await?;
        rounds.push(Round { ours, reference, facts });
        bed.tidy().await;
    }
    Ok(rounds)
}
