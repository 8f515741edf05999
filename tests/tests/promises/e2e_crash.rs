//! Agents and coordinators that die at each step of a task's files: the job ends right, and the store
//! holds nothing wrong.

use std::path::PathBuf;

use futures::TryStreamExt;
use postq_common::tree::Digest;
use postq_coordinator::{
    store::Store,
    workspace::{BlobError, Blobs, Check},
};
use postq_proto::v1::job;
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually};
use serde_json::{Value, json};

/// The file that tells the processes of a cluster where to die.
fn crash_file(cluster: &Cluster) -> PathBuf {
    cluster.path("crash")
}

/// One coordinator, and an agent that keeps so much of what tasks leave.
async fn cluster(cache_size: &str) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    let file = crash_file(&cluster);
    cluster.environment.push(("POSTQ_CRASH_FILE".into(), file.into()));
    cluster.environment.push(("POSTQ_CACHE_SIZE".into(), cache_size.into()));
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup { slots: 1, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    cluster
}

/// The first task leaves a file in chunks and many small ones, and says where to die from its end on,
/// once. Two more work on them beside each other, and the last one finds everything.
fn document(cluster: &Cluster, step: &str) -> Value {
    let (told, crash) = (cluster.path(step), crash_file(cluster));
    let (told, crash) = (told.display(), crash.display());
    let first = format!(
        "head -c 6000000 /dev/urandom > large; sha256sum large > sums; mkdir small
         for n in $(seq 200); do echo $n > small/$n; done
         [ -e {told} ] || {{ touch {told}; printf {step} > {crash}; }}"
    );
    let check =
        "sha256sum --check --quiet sums && cat small/* left right | sort -n | sha256sum && ls";
    json!({"tasks": {
        "first": {"command": first},
        "left": {"depends": ["first"], "command": "rm small/7; echo 7 > left"},
        "right": {"depends": ["first"], "command": "rm small/9; echo 9 > right"},
        "check": {"depends": ["left", "right"], "command": check},
    }})
}

/// A job during which a process dies at `step`, and is started again.
async fn dies_at(cluster: &mut Cluster, step: &str, who: Who) {
    let id = cluster.submit(&document(cluster, step)).await;
    eventually(&format!("it dies at {step}"), PATIENCE, async || match who {
        Who::Agent => cluster.agent(0).ended(),
        Who::Coordinator => cluster.coordinator(0).ended(),
    })
    .await;
    assert!(!crash_file(cluster).exists(), "it died elsewhere than at {step}");
    match who {
        Who::Agent => cluster.agent(0).restart().await,
        Who::Coordinator => cluster.coordinator(0).restart().await,
    }
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded, "{step}: {job:#?}");
    let numbers: String = (1..=200).map(|number| format!("{number}\n")).collect();
    let sum = sha256(numbers.as_bytes());
    let wanted = format!("{sum}  -\nlarge\nleft\nright\nsmall\nsums\n");
    assert_eq!(job.tasks["check"].results, wanted, "{step}");
}

#[derive(Clone, Copy)]
enum Who {
    Agent,
    Coordinator,
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads every blob that the database knows.
async fn nothing_in_the_store_is_wrong(cluster: &Cluster) {
    let index = Store::open(cluster.database.options().clone(), 2);
    let at = cluster.path("store").to_string_lossy().into_owned();
    let blobs = Blobs::create_or_open(&at, None, index).await.unwrap();
    let known = "select coalesce(string_agg(encode(digest, 'hex'), ' '), '') from postq.blob";
    let known: String = cluster.database.value(known).await;
    let known: Vec<Digest> = known.split_whitespace().map(|hex| hex.parse().unwrap()).collect();
    assert!(known.len() > 200, "{}", known.len());
    let read: Result<Vec<_>, BlobError> =
        blobs.frames(known.clone(), Check::Now).try_collect().await;
    assert_eq!(read.unwrap().concat().len(), known.len());
}

#[tokio::test]
async fn an_agent_that_dies_at_any_step_of_a_tasks_files_costs_only_time() {
    let mut cluster = cluster("0").await;
    for step in [
        "checkout.read",
        "checkout.begun",
        "checkout.filled",
        "checkout.done",
        "scan.walked",
        "scan.done",
        "upload.asked",
        "upload.done",
    ] {
        dies_at(&mut cluster, step, Who::Agent).await;
    }
    nothing_in_the_store_is_wrong(&cluster).await;
}

#[tokio::test]
async fn an_agent_that_dies_with_directories_at_hand_hands_over_none_that_is_wrong() {
    let mut cluster = cluster("1GiB").await;
    for step in ["keep.cached", "checkout.taken", "checkout.begun"] {
        dies_at(&mut cluster, step, Who::Agent).await;
    }
    nothing_in_the_store_is_wrong(&cluster).await;
}

#[tokio::test]
async fn a_coordinator_that_dies_at_any_step_of_a_tasks_files_costs_only_time() {
    let mut cluster = cluster("0").await;
    for step in [
        "intake.received",
        "pack.written",
        "pack.known",
        "finish.begun",
        "finish.done",
        "join.merged",
        "assign.prepared",
        "pack.read",
    ] {
        dies_at(&mut cluster, step, Who::Coordinator).await;
    }
    nothing_in_the_store_is_wrong(&cluster).await;
}
