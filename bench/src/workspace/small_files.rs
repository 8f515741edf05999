//! Many small files: to another agent, one changed, nothing changed.

use std::{collections::BTreeMap, fs};

use postq_proto::v1;

use super::{
    Options,
    bed::{Bed, rsync, write_small},
};
use crate::{
    report::Round,
    spent::{Spent, Watch, time},
};

pub(super) async fn moved(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let (from, to) = (bed.directory("from")?, bed.directory("to")?);
        let (middle, out) = (bed.directory("middle")?, bed.directory("out")?);
        write_small(&from, options.small, round as u64)?;
        time("sync", &[])?;
        let reference = rsync(&[], &from, &middle)? + rsync(&[], &middle, &out)?;
        time("sync", &[])?;

        let (left, right) = (bed.agent()?, bed.agent()?);
        let watch = Watch::start()?;
        let taken = left.snapshot(&v1::Snapshot::default(), &from, 0).await?;
        let sent = watch.spent()?;
        right.checkout(&taken.snapshot, &to).await?;
        let ours = watch.spent()?;
        let facts = BTreeMap::from([
            ("scan_seconds", taken.effort.scan.as_secs_f64()),
            ("upload_seconds", taken.effort.upload.as_secs_f64()),
            ("checkout_seconds", (ours.wall - sent.wall).as_secs_f64()),
        ]);
        rounds.push(Round { ours, reference, facts });
    }
    Ok(rounds)
}

pub(super) async fn one_changed(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let agent = bed.agent()?;
    let (from, copy, mut dir) =
        (bed.directory("from")?, bed.directory("copy")?, bed.directory("dir")?);
    write_small(&from, options.small, 7)?;
    let mut last = agent.upload_dir(&from).await?.snapshot;
    agent.checkout(&last, &dir).await?;
    rsync(&[], &from, &copy)?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let name = format!("d{}/f{}", round, round * 1000);
        fs::write(from.join(&name), format!("changed {round}"))?;
        fs::write(dir.join(&name), format!("changed {round}"))?;
        time("sync", &[])?;
        let reference = rsync(&[], &from, &copy)?;
        let next = bed.directory("dir")?;
        let watch = Watch::start()?;
        let taken = agent.snapshot(&last, &dir, round as i32).await?;
        let sent = watch.spent()?;
        agent.checkout(&taken.snapshot, &next).await?;
        let ours = watch.spent()?;
        let facts = BTreeMap::from([
            ("scan_seconds", taken.effort.scan.as_secs_f64()),
            ("upload_seconds", taken.effort.upload.as_secs_f64()),
            ("hand_over_seconds", (ours.wall - sent.wall).as_secs_f64()),
        ]);
        rounds.push(Round { ours, reference, facts });
        (last, dir) = (taken.snapshot, next);
    }
    Ok(rounds)
}

pub(super) async fn scanned(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let agent = bed.agent()?;
    let (from, mut dir) = (bed.directory("from")?, bed.directory("dir")?);
    write_small(&from, options.small, 8)?;
    let last = agent.upload_dir(&from).await?.snapshot;
    agent.checkout(&last, &dir).await?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let path = dir.to_string_lossy().into_owned();
        let reference = time("find", &[&path, "-printf", "%p %s %m %i %T@ %C@\\n"])?;
        let watch = Watch::start()?;
        let taken = agent.snapshot(&last, &dir, round as i32).await?;
        let ours = Spent { wall: taken.effort.scan, cpu: watch.spent()?.cpu };
        rounds.push(Round { ours, reference, facts: BTreeMap::new() });
        dir = bed.directory("dir")?;
        agent.checkout(&last, &dir).await?;
    }
    Ok(rounds)
}
