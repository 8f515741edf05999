//! An agent's memory is bounded, however large or many the files of a task are.
//!
//! `POSTQ_SOAK=1` makes it files of 1 and 8 GiB, and 1,000,000 small ones; without it they are 384 MiB and
//! 5,000, for a smaller bound.

use std::{env, time::Duration};

use postq_proto::v1::job;
use postq_tests::{AgentSetup, Cluster, Database};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// Enough for a machine that does other things as well.
const LIMIT: Duration = Duration::from_secs(1800);

fn is_long() -> bool {
    env::var_os("POSTQ_SOAK").is_some()
}

async fn peak_of(make: &str, check: &str) -> u64 {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    // What a task leaves is fetched again for the next one.
    let environment = vec![("POSTQ_CACHE_SIZE".to_owned(), "0".into())];
    cluster.add_agent(AgentSetup { slots: 1, environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    let tasks = json!({
        "make": {"command": make},
        "check": {"depends": ["make"], "command": check},
    });
    let id = cluster.submit(&json!({"tasks": tasks})).await;
    let job = cluster.client().wait(id, LIMIT).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    cluster.agent(0).peak_memory()
}

#[tokio::test]
async fn soak_a_large_file_passes_through_an_agent_in_bounded_memory() {
    let (sizes, bound) = if is_long() { (vec![1024, 8192], 512) } else { (vec![384], 256) };
    for mib in sizes {
        let make = format!("head -c {mib}M /dev/urandom > large; b2sum large > sums");
        let peak = peak_of(&make, "b2sum --check --quiet sums").await;
        println!("a file of {mib} MiB: at most {} MiB of memory", peak / MIB);
        assert!(peak < bound * MIB, "{} MiB", peak / MIB);
    }
}

#[tokio::test]
async fn soak_very_many_files_pass_through_an_agent_in_bounded_memory() {
    let (thousands, bound) = if is_long() { (1000, 512) } else { (5, 256) };
    let make = format!(
        "for d in $(seq {thousands}); do mkdir $d
         head -c 100000 /dev/urandom | split -b 100 -a 3 -d - $d/; done"
    );
    let check = format!("[ $(find . -type f | wc -l) -eq {thousands}000 ]");
    let peak = peak_of(&make, &check).await;
    println!("{thousands},000 files: at most {} MiB of memory", peak / MIB);
    assert!(peak < bound * MIB, "{} MiB", peak / MIB);
}
