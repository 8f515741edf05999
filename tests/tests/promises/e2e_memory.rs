//! An agent's memory is bounded, however large or many the files of a task are.
//!
//! `POSTQ_SOAK=1` makes it files of 1, 8 and 50 GiB, and 1,000,000 small ones; without it they are 384 MiB, 1 GiB and
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

/// The most memory of an agent that runs the tasks, and how many blobs the store has then.
async fn peak_of(tasks: serde_json::Value) -> (u64, i64) {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    // What a task leaves is fetched again for the next one.
    let environment = vec![("POSTQ_CACHE_SIZE".to_owned(), "0".into())];
    cluster.add_agent(AgentSetup { slots: 1, environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    let id = cluster.submit(&json!({"tasks": tasks})).await;
    let job = cluster.client().wait(id, LIMIT).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    let blobs = cluster.database.value("select count(*) from postq.blob").await;
    (cluster.agent(0).peak_memory(), blobs)
}

/// What a task leaves, and the next one gets.
fn made_and_checked(make: &str, check: &str) -> serde_json::Value {
    json!({"make": {"command": make}, "check": {"depends": ["make"], "command": check}})
}

#[tokio::test]
async fn soak_a_large_file_passes_through_an_agent_in_bounded_memory() {
    let (sizes, bound) = if is_long() { (vec![1024, 8192], 512) } else { (vec![384], 256) };
    for mib in sizes {
        let make = format!("head -c {mib}M /dev/urandom > large; b2sum large > sums");
        let (peak, _) = peak_of(made_and_checked(&make, "b2sum --check --quiet sums")).await;
        println!("a file of {mib} MiB: at most {} MiB of memory", peak / MIB);
        assert!(peak < bound * MIB, "{} MiB", peak / MIB);
    }
}

/// Among zeros, files are cut at the last but one of these bytes.
const CUT: &str = "c2d76b4fc50bc211b6ca1867a77f7cb76b21c3b69d5b40145da6be452e47f95ef2\
    ef24813234985cd6ceb6e504aebfafb4f73fae49cd689604e53a4eef22dca6e769";

/// One that has as many chunks as one of random bytes, all of them different, but takes a twentieth of the disk: zeros
/// with a number and a cut in every 512 KiB, and random bytes in the middle. Who gets it would have all of it, so nobody
/// does.
#[tokio::test]
async fn soak_a_sparse_file_of_very_many_chunks_is_kept_in_bounded_memory() {
    let (gib, bound) = if is_long() { (50, 512) } else { (1, 256) };
    let (chunks, middle, random) = (gib << 11, gib << 9, gib * 40);
    let make = format!(
        "perl -e 'truncate STDOUT, {gib} << 30;
         for (1..{chunks}) {{ seek STDOUT, ($_ << 19) - 4096, 0; print pack(\"QH*\", $_, \"{CUT}\") }}' > large
         head -c {random}M /dev/urandom | dd of=large conv=notrunc bs=1M seek={middle} iflag=fullblock status=none"
    );
    let (peak, blobs) = peak_of(json!({"make": {"command": make}})).await;
    assert!(blobs > chunks / 10 * 9, "{blobs} blobs: it is cut elsewhere");
    println!("a file of {gib} GiB in {chunks} chunks: at most {} MiB of memory", peak / MIB);
    assert!(peak < bound * MIB, "{} MiB", peak / MIB);
}

#[tokio::test]
async fn soak_very_many_files_pass_through_an_agent_in_bounded_memory() {
    let (thousands, bound) = if is_long() { (1000, 512) } else { (5, 256) };
    let make = format!(
        "for d in $(seq {thousands}); do mkdir $d
         head -c 100000 /dev/urandom | split -b 100 -a 3 -d - $d/; done"
    );
    let check = format!("[ $(find . -type f | wc -l) -eq {thousands}000 ]");
    let (peak, _) = peak_of(made_and_checked(&make, &check)).await;
    println!("{thousands},000 files: at most {} MiB of memory", peak / MIB);
    assert!(peak < bound * MIB, "{} MiB", peak / MIB);
}
