//! Full disks: that of an agent costs no job an attempt, that of the store is told. Mounts a small
//! tmpfs, so it needs root.

use std::{fs::File, io::Write, path::PathBuf, process::Command};

use postq_agent::workspace::Workspace;
use postq_proto::v1::job;
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually, states};
use serde_json::json;

/// A file system of 8 MiB at a path; gone when the test ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        std::fs::create_dir(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=8m", "postq-test"];
        let status = Command::new("mount").args(options).arg(&path).status();
        let is_mounted = status.expect("mount is installed").success();
        assert!(is_mounted, "this test mounts a file system; run it as root");
        Self(path)
    }

    /// Takes all the room there is; removing the file gives it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for piece in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_job_waits_for_an_agent_whose_disk_is_full_and_loses_no_attempt() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let disk = SmallDisk::mount(cluster.path("agent-1"));
    cluster.add_agent(AgentSetup { slots: 2, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    let filler = disk.fill();
    let tasks = json!({"a": {"command": "echo hi"}, "b": {"command": "echo ho"}});
    let id = cluster.submit(&json!({"tasks": tasks})).await;
    let slots = async |wanted: i32| {
        let agents = cluster.client().agents().await.unwrap();
        (agents.get("agent-1")?.slots == wanted).then_some(())
    };
    eventually("the agent offers no slot", PATIENCE, async || slots(0).await).await;
    std::fs::remove_file(filler).unwrap();
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(
        (job.tasks["a"].results.as_str(), job.tasks["b"].results.as_str()),
        ("hi\n", "ho\n")
    );
    eventually("the agent offers its slots again", PATIENCE, async || slots(2).await).await;

    let history = cluster.database.history(id).await;
    let (gave_back, ran): (Vec<_>, Vec<_>) =
        history.iter().partition(|attempt| attempt.outcome == "released");
    assert!(!gave_back.is_empty());
    assert_eq!(ran.len(), 2, "{history:?}");
    assert!(
        gave_back.iter().any(|it| it.reason.contains("No space left on device")),
        "{history:?}"
    );
    for task in ["a", "b"] {
        assert_eq!(job.tasks[task].attempts, 1, "what was given back does not count");
    }
}

#[tokio::test]
async fn files_that_do_not_fit_on_an_agents_disk_go_to_another_one_and_cost_no_attempt() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let _disk = SmallDisk::mount(cluster.path("agent-1"));
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("large"), vec![7; 20 << 20]).unwrap();
    let files = Workspace::over(cluster.client().channel());
    let input = files.upload_dir(from.path()).await.unwrap().digest;
    let job = json!({"input": input, "tasks": {"a": {"command": "stat -c %s large"}}});
    let id = cluster.submit(&job).await;
    let released = async || {
        let history = cluster.database.history(id).await;
        history.iter().any(|it| it.reason.contains("No space left on device")).then_some(())
    };
    eventually("it is handed back", PATIENCE, released).await;
    cluster.add_agent(AgentSetup::default()).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, format!("{}\n", 20 << 20), "{job:#?}");
    assert_eq!(job.tasks["a"].attempts, 1, "what was given back does not count");
    let history = cluster.database.history(id).await;
    assert!(history.iter().all(|it| it.outcome == "released" || it.agent == "agent-2"));
}

#[tokio::test]
async fn a_full_store_fails_the_attempt_clearly_and_takes_files_again_when_there_is_room() {
    let mut cluster = Cluster::create(Database::create().await);
    let disk = SmallDisk::mount(cluster.path("store"));
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    let filler = disk.fill();
    let make = "head -c 3000000 /dev/urandom > file; sha256sum file > sum";
    let job = json!({"tasks": {
        "make": {"command": make},
        "check": {"depends": ["make"], "command": "sha256sum --check --quiet sum"},
    }});
    let failed = cluster.client().run(&job).await;
    assert_eq!(states(&failed), "check skipped, make failed");
    let why = &failed.tasks["make"].reason;
    assert!(why.contains("the blob store is full"), "{why}");
    std::fs::remove_file(filler).unwrap();
    let job = cluster.client().run(&job).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
}
