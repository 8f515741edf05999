//! Jobs with files of their own, one after the other on an agent with one slot: what it takes when their
//! files are fetched while the one before runs, beside what it takes when they are not.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::ensure;
use postq_agent::workspace::Workspace;
use postq_proto::v1::job;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::json;

use super::{Options, bed::Bed, figure::Figure};

/// How many jobs wait.
const JOBS: u64 = 8;
const MIB: usize = 256;
/// How long their tasks run, in seconds.
const TASKS: [u64; 3] = [1, 2, 4];
const LIMIT: Duration = Duration::from_secs(600);

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for seconds in TASKS {
        let (mut ahead, mut late) = (Vec::new(), Vec::new());
        for round in 0..options.rounds as u64 {
            ahead.push(time("--prefetch=true", seconds, round).await?);
            late.push(time("--prefetch=false", seconds, round).await?);
        }
        let name = format!("{JOBS} jobs of {seconds} s, {MIB} MiB each, fetched ahead");
        figures.push(Figure::new(name, "s", &ahead).beside("not ahead", &late));
    }
    Ok(figures)
}

/// Seconds from the first submit to the end of the last job.
async fn time(option: &str, seconds: u64, round: u64) -> anyhow::Result<f64> {
    let bed = Bed::start(1, &[option]).await?;
    let client = bed.cluster.client();
    let files = Workspace::over(client.channel());
    let mut inputs = Vec::new();
    for job in 0..JOBS {
        let from = tempfile::tempdir()?;
        let mut noise = vec![0; MIB << 20];
        SmallRng::seed_from_u64(round * JOBS + job).fill_bytes(&mut noise);
        fs::write(from.path().join("file"), noise)?;
        inputs.push(files.upload_dir(from.path()).await?.digest);
    }
    let began = Instant::now();
    let mut jobs = Vec::new();
    for input in inputs {
        let command = format!("sleep {seconds}");
        let document = json!({"input": input, "tasks": {"a": {"command": command}}});
        jobs.push(bed.cluster.submit(&document).await);
    }
    for id in jobs {
        let state = client.wait(id, LIMIT).await.state();
        ensure!(state == job::State::Succeeded, "job {id}: {state:?}");
    }
    Ok(began.elapsed().as_secs_f64())
}
