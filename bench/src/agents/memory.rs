//! The memory of an agent that is idle, and of one with many running tasks.
//!
//! Proportional set sizes: pages that processes share count once over all of them.

use std::fs;

use anyhow::Context;
use postq_tests::{PATIENCE, eventually};
use serde_json::{Map, json};

use super::{Options, bed::Bed, figure::Figure};

const MIB: f64 = 1024.0;

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let tasks = options.running;
    let (mut idle, mut busy, mut guards) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let bed = Bed::start(tasks, &[]).await?;
        idle.push(kib_of(bed.pid())? / MIB);
        let started = bed.cluster.path("started");
        let command = format!("echo x >> {}; exec sleep 6000", started.display());
        let task = |n| (format!("t{n}"), json!({"command": command, "workspace": "NONE"}));
        bed.cluster.submit(&json!({"tasks": (0..tasks).map(task).collect::<Map<_, _>>()})).await;
        let all_run = async || (bed.cluster.lines("started").len() == tasks).then_some(());
        eventually("all tasks run", PATIENCE, all_run).await;
        busy.push(kib_of(bed.pid())? / MIB);
        let pids = children_of(bed.pid())?;
        let all: f64 = pids.iter().filter_map(|&pid| kib_of(pid).ok()).sum();
        guards.push(all / MIB / pids.len() as f64);
    }
    Ok(vec![
        Figure::new("memory of an idle agent", "MiB", &idle),
        Figure::new(format!("memory of an agent with {tasks} running tasks"), "MiB", &busy),
        Figure::new("and of the guard of each task", "MiB", &guards),
    ])
}

/// What a process has, in KiB.
fn kib_of(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.with_context(|| format!("{path} tells no size"))
}

fn children_of(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let listed = fs::read_to_string(thread.path().join("children"))?;
        children.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(children)
}
