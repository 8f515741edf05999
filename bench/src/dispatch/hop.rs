//! From the end of a task to the start of the next one: a chain, whose tasks cannot be taken together.

use postq_proto::v1::JobSpec;

use super::{
    Options, bare,
    bed::{Bed, job},
    worker::Worker,
};
use crate::report::Round;

/// Tasks in the chain.
const LENGTH: usize = 500;

pub(super) async fn measure(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let database = &bed.cluster.database;
    bare::make(database).await;
    let mut worker = Worker::connect(bed, options.slots).await?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let run = async {
            bed.submit(chain()).await?;
            worker.work(LENGTH).await
        };
        let (ours, mut facts) = bed.measure(LENGTH, run).await?;
        facts.insert("ms_per_hop", ours.wall.as_secs_f64() * 1000.0 / LENGTH as f64);
        let (reference, _) = bed.measure(LENGTH, bare::hop(database, LENGTH)).await?;
        rounds.push(Round { ours, reference, facts });
    }
    Ok(rounds)
}

fn chain() -> JobSpec {
    let mut chain = job(LENGTH);
    for number in 1..LENGTH {
        let task = chain.tasks.get_mut(&format!("t{number}"));
        task.expect("invariant: the job has so many tasks").depends =
            vec![format!("t{}", number - 1)];
    }
    chain
}
