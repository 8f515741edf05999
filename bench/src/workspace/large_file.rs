//! One large file from agent to agent, durable in the store between: new, and changed a little.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, path::Path};

use postq_proto::v1;
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

use super::{
    Options,
    bed::{Bed, clear, rsync, write_noise},
};
use crate::{
    report::Round,
    spent::{Watch, time},
};

/// How one hundredth of the file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// In ten places.
    Runs,
    /// In blocks of 4 KiB all over it.
    Blocks,
}

pub(super) async fn new(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let (from, to) = (bed.directory("from")?, bed.directory("to")?);
        let (middle, out) = (bed.directory("middle")?, bed.directory("out")?);
        write_noise(&from.join("file"), options.large, round as u64)?;
        time("sync", &[])?;
        let reference = rsync(&[], &from, &middle)? + time("sync", &[])?;
        let reference = reference + rsync(&[], &middle, &out)?;
        clear(&[&middle, &out])?;

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
        clear(&[&from, &to])?;
    }
    Ok(rounds)
}

pub(super) async fn changed(
    bed: &Bed,
    options: &Options,
    change: Change,
) -> anyhow::Result<Vec<Round>> {
    // Both agents have run a task over the old file.
    let (left, right) = (bed.agent()?, bed.agent()?);
    let (from, mut old) = (bed.directory("from")?, bed.directory("old")?);
    let (middle, out) = (bed.directory("middle")?, bed.directory("out")?);
    write_noise(&from.join("file"), options.large, 99)?;
    rsync(&[], &from, &middle)?;
    rsync(&[], &from, &out)?;
    let first = left.upload_dir(&from).await?.snapshot;
    right.checkout(&first, &old).await?;
    let mut last = right.snapshot(&first, &old, 0).await?.snapshot;
    let mut mine = bed.directory("mine")?;
    left.checkout(&last, &mine).await?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        for dir in [&from, &mine] {
            alter(&dir.join("file"), options.large, change, round as u64)?;
        }
        time("sync", &[])?;
        let options_of_rsync = ["--no-whole-file"];
        let reference = rsync(&options_of_rsync, &from, &middle)?;
        let reference = reference + rsync(&options_of_rsync, &middle, &out)?;
        time("sync", &[])?;

        let to = bed.directory("to")?;
        let watch = Watch::start()?;
        let taken = left.snapshot(&last, &mine, 1).await?;
        let sent = watch.spent()?;
        right.checkout(&taken.snapshot, &to).await?;
        let ours = watch.spent()?;
        let kept = right.snapshot(&taken.snapshot, &to, 2).await?;
        let moved = taken.effort.sent_bytes.max(kept.effort.received_bytes);
        let facts = BTreeMap::from([
            ("moved_share", moved as f64 / options.large as f64),
            ("scan_seconds", taken.effort.scan.as_secs_f64()),
            ("upload_seconds", taken.effort.upload.as_secs_f64()),
            ("checkout_seconds", (ours.wall - sent.wall).as_secs_f64()),
        ]);
        rounds.push(Round { ours, reference, facts });
        last = taken.snapshot;
        mine = bed.directory("mine")?;
        left.checkout(&last, &mine).await?;
        old = to;
        time("sync", &[])?;
    }
    clear(&[&from, &mine, &old, &middle, &out])?;
    Ok(rounds)
}

fn alter(path: &Path, bytes: usize, change: Change, seed: u64) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(1000 + seed);
    let (count, length) = match change {
        Change::Runs => (10, bytes / 1000),
        Change::Blocks => (bytes / 100 / 4096, 4096),
    };
    let file = File::options().write(true).open(path)?;
    let mut content = vec![0; length];
    for _ in 0..count {
        random.fill_bytes(&mut content);
        file.write_all_at(&content, random.random_range(0..(bytes - length) as u64))?;
    }
    Ok(())
}
