//! What a hundred siblings wrote, a hundred files each, in one directory.

use std::{collections::BTreeMap, fs, sync::Arc};

use postq_common::{merge::OnConflict, tree::Snapshot};
use postq_coordinator::workspace::{Join, Joins};
use postq_proto::v1;
use uuid::Uuid;

use super::{Options, bed::Bed};
use crate::{
    report::Round,
    spent::{Watch, time},
};

const SIBLINGS: i32 = 100;
const FILES: i32 = 100;

pub(super) async fn measure(bed: &Bed, options: &Options) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let mut parents = Vec::new();
        for sibling in 1..=SIBLINGS {
            let dir = bed.directory("sibling")?;
            for number in 0..FILES {
                let folder = dir.join(format!("out/{}", number % 10));
                fs::create_dir_all(&folder)?;
                let content = format!("{round} {sibling} {number} ").repeat(100);
                fs::write(folder.join(format!("{sibling}-{number}")), content)?;
            }
            let taken = bed.agent()?.snapshot(&v1::Snapshot::default(), &dir, sibling).await?;
            let v1::Snapshot { content, provenance, times } = taken.snapshot;
            parents.push(Snapshot::from_fields(&content, &provenance, &times)?);
        }
        time("sync", &[])?;
        let joins = Joins::new(bed.blobs.clone());
        let (agent, to) = (bed.agent()?, bed.directory("to")?);
        let watch = Watch::start()?;
        let merged = joins
            .merge(Join {
                job: Uuid::now_v7(),
                task: SIBLINGS + 1,
                parents,
                on_conflict: OnConflict::Fail,
                is_ancestor: Arc::new(|_, _| false),
            })
            .await?;
        let merge_seconds = watch.spent()?.wall.as_secs_f64();
        let [content, provenance, times] = merged.to_fields();
        agent.checkout(&v1::Snapshot { content, provenance, times }, &to).await?;
        let ours = watch.spent()?;
        let copy = bed.path("copy");
        let reference = time("cp", &["-a", &to.to_string_lossy(), &copy.to_string_lossy()])?;
        let facts = BTreeMap::from([("merge_seconds", merge_seconds)]);
        rounds.push(Round { ours, reference, facts });
    }
    Ok(rounds)
}
