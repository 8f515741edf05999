//! How long a queue takes to be filled, a thousand jobs in a call.

use super::{Options, bare, bed::Bed};
use crate::report::Round;

pub(super) async fn measure(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let database = &bed.cluster.database;
    bare::make(database).await;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let (ours, facts) = bed.measure(options.tasks, bed.submit_jobs(options.tasks)).await?;
        let fill = bare::fill(database, options.tasks);
        let (reference, _) = bed.measure(options.tasks, fill).await?;
        rounds.push(Round { ours, reference, facts });
        bed.tidy().await;
    }
    Ok(rounds)
}
