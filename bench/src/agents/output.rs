//! What one task prints, on its way to whoever reads it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::json;

use super::{
    Options,
    bed::{Bed, time_of},
    figure::Figure,
};

/// Where more is printed than is kept.
const TIMES_THE_CAP: usize = 8;
/// As of --log-limit.
const CAP_MIB: usize = 64;

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    let (mut file, mut cut_file) = (Vec::new(), Vec::new());
    let over = CAP_MIB * TIMES_THE_CAP;
    for _ in 0..options.rounds {
        let limit = format!("--log-limit={}MiB", options.printed + 1);
        let bed = Bed::start(2, &[&limit]).await?;
        kept.push(read(&bed, options.printed).await?);
        file.push(to_file(&bed, options.printed)?);
        let bed = Bed::start(2, &[]).await?;
        let document = json!({"tasks": {"a": {"command": print(over), "workspace": "NONE"}}});
        cut.push(rate(over, bed.time(&document).await?.1));
        cut_file.push(to_file(&bed, over)?);
    }
    let beside = "the same into a file";
    let printed = format!("output, {} MiB kept and read back", options.printed);
    let cut_off = format!("output, {over} MiB of which {CAP_MIB} are kept");
    Ok(vec![
        Figure::new(printed, "MiB/s", &kept).beside(beside, &file),
        Figure::new(cut_off, "MiB/s", &cut).beside(beside, &cut_file),
    ])
}

fn print(mib: usize) -> String {
    format!("yes 'a line of output as tasks print them, of some sixty letters' | head -c {mib}M")
}

/// Follows the output until all of it was seen.
async fn read(bed: &Bed, mib: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let document = json!({"tasks": {"a": {"command": print(mib), "workspace": "NONE"}}});
    let id = bed.cluster.submit(&document).await;
    let chunks = bed.cluster.client().logs(id).await;
    let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
    ensure!(bytes == mib << 20, "{bytes} bytes of {mib} MiB came");
    Ok(rate(mib, began.elapsed()))
}

fn to_file(bed: &Bed, mib: usize) -> anyhow::Result<f64> {
    let line = format!("{} > {}", print(mib), bed.cluster.path("printed").display());
    Ok(rate(mib, time_of(Command::new("sh").args(["-c", &line]))?.0))
}

fn rate(mib: usize, took: Duration) -> f64 {
    mib as f64 / took.as_secs_f64()
}
