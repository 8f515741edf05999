//! One task in a container, beside `docker run` of the same image and command.
//!
//! The command tells the machine's uptime, by which its start is known.

use std::{fs, process::Command};

use anyhow::Context;
use postq_tests::{IMAGE, make_image};
use serde_json::json;

use super::{
    Options,
    bed::{Bed, time_of},
    figure::Figure,
};

const COMMAND: &str = "cat /proc/uptime";

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    make_image();
    let bed = Bed::start(1, &[]).await?;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let (mut plain_starts, mut plain_ends) = (Vec::new(), Vec::new());
    let document = json!({"tasks": {"a": {"image": IMAGE, "command": COMMAND}}});
    // The first one of each warms up.
    for round in 0..=options.rounds {
        let submitted = uptime(&fs::read_to_string("/proc/uptime")?)?;
        let (id, took) = bed.time(&document).await?;
        let said = bed.cluster.client().get(id).await.tasks["a"].results.clone();
        let start = uptime(&said)? - submitted;

        let began = uptime(&fs::read_to_string("/proc/uptime")?)?;
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--init", IMAGE, "sh", "-c", COMMAND]);
        let (plain_took, said) = time_of(&mut run)?;
        if round > 0 {
            starts.push(start * 1e3);
            ends.push(took.as_secs_f64() * 1e3);
            plain_starts.push((uptime(&said)? - began) * 1e3);
            plain_ends.push(plain_took.as_secs_f64() * 1e3);
        }
    }
    let beside = "docker run --rm --init";
    Ok(vec![
        Figure::new("container, from submit to its own start", "ms", &starts)
            .beside(beside, &plain_starts),
        Figure::new("container, from submit to its recorded end", "ms", &ends)
            .beside(beside, &plain_ends),
    ])
}

fn uptime(text: &str) -> anyhow::Result<f64> {
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).with_context(|| format!("no uptime: {text}"))
}
