//! Short tasks per second on an agent with two slots, beside `xargs -P2`.

use std::{process::Command, time::Duration};

use serde_json::{Map, json};

use super::{
    Options,
    bed::{Bed, time_of},
    figure::Figure,
};

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let count = options.short;
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let (mut plain, mut with_files, mut reference) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let bed = Bed::start(2, &[]).await?;
        for (workspace, rates) in [("NONE", &mut plain), ("FILES", &mut with_files)] {
            let task = |n| (format!("t{n}"), json!({"command": "true", "workspace": workspace}));
            let document = json!({"tasks": (0..count).map(task).collect::<Map<_, _>>()});
            rates.push(rate(bed.time(&document).await?.1));
        }
        let line = format!("yes true | head -n {count} | xargs -P2 -I@ /bin/sh -c @");
        let (took, _) = time_of(Command::new("sh").args(["-c", &line]))?;
        reference.push(rate(took));
    }
    let beside = "xargs -P2 sh -c";
    Ok(vec![
        Figure::new("tasks of `true`", "1/s", &plain).beside(beside, &reference),
        Figure::new("tasks of `true` with a workspace", "1/s", &with_files)
            .beside(beside, &reference),
    ])
}
