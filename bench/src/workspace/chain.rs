//! Twenty tasks in a chain on one agent over a large file that nobody touches: all hand-overs.

use std::collections::BTreeMap;

use super::{
    Options,
    bed::{Bed, clear, write_noise},
};
use crate::{
    report::Round,
    spent::{Spent, Watch, time},
};

const TASKS: i32 = 20;

pub(super) async fn measure(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let agent = bed.agent()?;
    let (from, mut dir) = (bed.directory("from")?, bed.directory("dir")?);
    write_noise(&from.join("file"), options.large, 3)?;
    let mut last = agent.upload_dir(&from).await?.snapshot;
    agent.checkout(&last, &dir).await?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let reference = time("sha256sum", &[&from.join("file").to_string_lossy()])?;
        let mut ours = Spent::default();
        for task in 0..TASKS {
            std::fs::write(dir.join("small"), format!("{round} {task}"))?;
            let next = bed.directory("dir")?;
            let watch = Watch::start()?;
            last = agent.snapshot(&last, &dir, task).await?.snapshot;
            agent.checkout(&last, &next).await?;
            ours += watch.spent()?;
            dir = next;
        }
        rounds.push(Round { ours, reference, facts: BTreeMap::new() });
    }
    clear(&[&from, &dir])?;
    Ok(rounds)
}
