//! The store in a bucket: several coordinators share it, agents reach it without them, and nothing
//! wrong comes out of it.

use std::{fs, time::Duration};

use postq_proto::v1::{
    Effort, EndPackRequest, Job, PlacedBlob, job, task,
    workspace_service_client::WorkspaceServiceClient,
};
use postq_tests::{AgentSetup, Bucket, Cluster, Database, eventually};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(90);
const SIZE: i64 = 5 << 20;

/// Two coordinators on the bucket, and two agents that know nothing of it.
async fn start(bucket: &Bucket) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.store = Some(bucket.url("jobs/here"));
    cluster.environment = bucket.environment();
    for _ in 0..2 {
        cluster.add_coordinator(&[]).await;
    }
    cluster.environment.clear();
    for label in ["one=yes", "two=yes"] {
        let environment = vec![("POSTQ_LABELS".to_owned(), label.into())];
        cluster.add_agent(AgentSetup { slots: 1, environment, ..AgentSetup::default() }).await;
    }
    cluster.wait_for_agents().await;
    cluster
}

/// What one agent makes, and the other one looks at. Random bytes are not compressed.
fn document() -> Value {
    let on = |label: &str| json!([{"label": label, "exists": true}]);
    json!({"tasks": {
        "makes": {"command": format!("head -c {SIZE} /dev/urandom > big; mkdir d; echo x > d/small; sha256sum big"), "requires": on("one")},
        "looks": {"depends": ["makes"], "command": "sha256sum big; cat d/small", "requires": on("two")},
    }})
}

fn effort(job: &Job, task: &str) -> Effort {
    job.tasks[task].attempt.clone().unwrap().effort.unwrap()
}

async fn run(cluster: &Cluster) -> (Uuid, Job) {
    let id = cluster.submit(&document()).await;
    (id, cluster.client_of(1).wait(id, LIMIT).await)
}

fn looks_right(job: &Job) {
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    let [made, seen] = ["makes", "looks"].map(|task| job.tasks[task].results.clone());
    assert_eq!(format!("{made}x\n"), seen);
}

#[tokio::test]
async fn agents_put_and_read_packs_without_the_coordinators() {
    let bucket = Bucket::serve();
    let mut cluster = start(&bucket).await;
    let (_, job) = run(&cluster).await;
    looks_right(&job);
    for (task, bytes) in [("makes", effort(&job, "makes")), ("looks", effort(&job, "looks"))] {
        assert!(bytes.direct_bytes >= SIZE, "{task}: {bytes:?}");
    }
    assert!(effort(&job, "looks").received_bytes >= SIZE);
    assert!(bucket.requests("PUT", "postq") > 0 && bucket.requests("GET", "postq") > 0);
    assert!(!bucket.objects("jobs/here/packs").is_empty());

    // What nobody needs any more goes.
    for agent in 0..2 {
        cluster.agent(agent).kill().await;
    }
    cluster.coordinator(1).kill().await;
    cluster.database.execute("delete from postq.snapshot").await;
    // A coordinator that starts collects; an object goes in a pass after its last blob's.
    for _ in 0..2 {
        cluster.coordinator(0).kill().await;
        let passes = |log: String| log.matches("garbage collected").count();
        let before = passes(cluster.coordinator(0).log());
        cluster.database.advance_clock("27 hours").await;
        cluster.coordinator(0).restart().await;
        eventually("garbage is collected", LIMIT, async || {
            (passes(cluster.coordinator(0).log()) > before).then_some(())
        })
        .await;
    }
    eventually("the bucket is empty", LIMIT, async || {
        bucket.objects("jobs/here/packs").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_can_be_added_to_a_pack_that_is_known() {
    let bucket = Bucket::serve();
    let cluster = start(&bucket).await;
    run(&cluster).await;
    let database = &cluster.database;
    let largest = "(select id from postq.pack order by size_bytes desc limit 1)";
    let pack: Uuid = database.value(&format!("select * from {largest} p")).await;
    let index = format!(
        "select json_agg(json_build_array(encode(digest, 'hex'), place, stored_bytes, packed_bytes) order by place)
         from postq.blob where pack = {largest}"
    );
    let index = database.json(&index).await;
    let blobs: Vec<PlacedBlob> = index.as_array().unwrap().iter().map(placed).collect();
    let mut client = WorkspaceServiceClient::new(cluster.client().channel());
    let mut end = async |blobs| client.end_pack(EndPackRequest { pack: pack.into(), blobs }).await;
    end(blobs.clone()).await.expect("it was sent again as it was");
    let mut other = blobs;
    other[0].digest = vec![7; 32];
    let refused = end(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message().contains("another index"), "{refused:?}");
    let known: bool = database
        .value(
            "select exists (select from postq.blob where digest = decode(repeat('07', 32), 'hex'))",
        )
        .await;
    assert!(!known);
}

fn placed(row: &Value) -> PlacedBlob {
    let hex = row[0].as_str().unwrap();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    PlacedBlob {
        digest: (0..hex.len()).step_by(2).map(byte).collect(),
        place: row[1].as_u64().unwrap(),
        stored_bytes: row[2].as_u64().unwrap(),
        size: row[3].as_u64(),
    }
}

#[tokio::test]
async fn files_go_by_the_coordinator_where_agents_do_not_reach_the_bucket() {
    let bucket = Bucket::serve();
    let cluster = start(&bucket).await;
    bucket.refuse_agents();
    let (_, job) = run(&cluster).await;
    looks_right(&job);
    assert!(bucket.requests("PUT", "postq") > 0, "it was not tried");
    for task in ["makes", "looks"] {
        assert_eq!(effort(&job, task).direct_bytes, 0);
    }
}

#[tokio::test]
async fn what_is_damaged_in_a_bucket_is_never_delivered() {
    let bucket = Bucket::serve();
    let mut cluster = start(&bucket).await;
    cluster.agent(1).kill().await;
    let id = cluster.submit(&document()).await;
    let client = cluster.client();
    let is_made = |job: &Job| job.tasks["makes"].state() == task::State::Succeeded;
    client.wait_until(id, "the files are made", LIMIT, is_made).await;
    for object in bucket.objects("jobs/here/packs") {
        let mut bytes = fs::read(&object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&object, bytes).unwrap();
    }
    cluster.agent(1).restart().await;
    let job = client.wait(id, LIMIT).await;
    assert_eq!(job.tasks["looks"].state(), task::State::Failed, "{job:#?}");
    assert!(job.tasks["looks"].reason.starts_with("input lost: "), "{}", job.tasks["looks"].reason);
    assert_eq!(job.tasks["looks"].results, "");
}

#[tokio::test]
async fn a_bucket_that_belongs_to_another_database_is_refused() {
    let bucket = Bucket::serve();
    let cluster = start(&bucket).await;
    let mut other = Cluster::create(Database::create().await);
    other.environment = bucket.environment();
    other.store = Some(bucket.url("jobs/there"));
    other.add_coordinator(&[]).await;
    other.coordinator(0).kill().await;
    let ended = std::process::Command::new(&other.binaries().coordinator)
        .args(["--database-url", &other.database_url(), "--listen", "127.0.0.1:0"])
        .args(["--store", &bucket.url("jobs/here")])
        .envs(bucket.environment())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("belongs to the store"), "{said}");
    drop(cluster);
}
