//! Which files are kept: of what a task wrote, of what a job left once it has ended, and once it is
//! forgotten; and what it took is told.

use std::{path::Path, time::Duration};

use postq_agent::workspace::Workspace;
use postq_proto::v1::{
    Attempt, DeleteArtifactsRequest, Effort, GetSnapshotRequest, Job, ListArtifactsRequest,
    RetryJobRequest, Snapshot, artifact_service_client::ArtifactServiceClient, job, task,
    workspace_service_client::WorkspaceServiceClient,
};
use postq_tests::{AgentSetup, Cluster, eventually};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(90);

/// Ended jobs are looked through when a coordinator starts.
async fn look_through_ended_jobs(cluster: &mut Cluster) {
    cluster.coordinator(0).kill().await;
    cluster.coordinator(0).restart().await;
    cluster.wait_until_ready(0).await;
    let open = "select count(*) from postq.snapshot where not is_trimmed";
    let database = &cluster.database;
    eventually("all ended jobs are looked through", LIMIT, async || {
        (database.value::<i64>(open).await == 0).then_some(())
    })
    .await;
}

async fn run(cluster: &Cluster, document: &Value, wanted: job::State) -> (Uuid, Job) {
    let id = cluster.submit(document).await;
    let job = cluster.client().wait(id, LIMIT).await;
    assert_eq!(job.state(), wanted, "{job:#?}");
    (id, job)
}

#[tokio::test]
async fn only_outputs_are_kept_and_what_is_ignored_or_no_file_is_left_behind() {
    // One agent, which hands directories over where it may.
    let cluster = Cluster::start(&[1]).await;
    let write = "echo a > kept; echo a > scratch; mkdir dist; echo x > dist/x; echo t > dist/x.tmp";
    let document = json!({"tasks": {
        "a": {"command": write, "outputs": ["kept", "/dist/", "!*.tmp"]},
        "b": {"depends": ["a"], "command": "find . -type f | sort; echo b > kept; echo b > other", "outputs": ["none"]},
        "c": {"depends": ["b"], "command": "cat kept; find . -type f | sort"},
    }});
    let (_, job) = run(&cluster, &document, job::State::Succeeded).await;
    assert_eq!(job.tasks["b"].results, "./dist/x\n./kept\n");
    assert_eq!(job.tasks["c"].results, "a\n./dist/x\n./kept\n");

    let document = json!({"ignore": ["*.o"], "tasks": {
        "a": {"command": "echo x > a.o; echo y > y; mkfifo pipe"},
        "b": {"depends": ["a"], "command": "ls -A; echo z > b.o; echo y2 > y"},
        "c": {"depends": ["b"], "command": "ls -A; cat y; echo w > c.o", "ignore": ["!*.o"]},
        "d": {"depends": ["c"], "command": "ls -A"},
    }});
    let (_, job) = run(&cluster, &document, job::State::Succeeded).await;
    assert_eq!(job.tasks["b"].results, "y\n", "what was left behind was handed over");
    assert_eq!(job.tasks["c"].results, "y\ny2\n");
    assert_eq!(job.tasks["d"].results, "c.o\ny\n");
}

#[tokio::test]
async fn a_job_says_what_stays_of_its_tasks_files() {
    let mut cluster = Cluster::start(&[2]).await;
    let chain = |keep: Value, end: &str| {
        json!({"keep_workspace": keep, "tasks": {
            "a": {"command": "echo a > f"},
            "b": {"depends": ["a"], "command": "echo b > f"},
            "c": {"depends": ["b"], "command": end},
        }})
    };
    use job::State::{Failed, Succeeded};
    let mut jobs = Vec::new();
    for (keep, end, state, wanted) in [
        ("ON_FAILURE", "echo c > f", Succeeded, vec![2]),
        ("ALWAYS", "echo c > f", Succeeded, vec![0, 1, 2]),
        ("ON_FAILURE", "exit 1", Failed, vec![0, 1]),
        ("NEVER", "exit 1", Failed, vec![1]),
        ("NEVER", "echo c > f", Succeeded, vec![2]),
    ] {
        let (id, _) = run(&cluster, &chain(json!(keep), end), state).await;
        jobs.push((id, keep, wanted));
    }
    // By SQL a document is kept as it was written, here with a number; it has one task.
    let by_sql = json!({"keep_workspace": 1, "tasks": {"a": {"command": "echo a > f"}}});
    let id = cluster.database.submit(&by_sql).await.unwrap();
    cluster.client().wait(id, LIMIT).await;
    jobs.push((id, "1", vec![0]));
    look_through_ended_jobs(&mut cluster).await;
    for (id, keep, wanted) in jobs {
        let kept = format!(
            "select array_agg(n order by n) from postq.snapshot where job = '{id}' and n >= 0"
        );
        let kept: Vec<i32> = cluster.database.value(&kept).await;
        assert_eq!(kept, wanted, "{keep}");
    }
}

/// A job's files, or its artifacts.
async fn left_by(cluster: &Cluster, job: Uuid, artifacts: bool) -> Result<Snapshot, Code> {
    let mut client = WorkspaceServiceClient::new(cluster.client().channel());
    let request = GetSnapshotRequest { job_id: job.to_string(), artifacts, ..Default::default() };
    let answer = client.get_snapshot(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().snapshot.unwrap())
}

/// The paths of them as they are given out.
async fn paths(cluster: &Cluster, job: Uuid, artifacts: bool) -> Result<Vec<String>, Code> {
    let snapshot = left_by(cluster, job, artifacts).await?;
    let listed = Workspace::over(cluster.client().channel()).list(&snapshot).await.unwrap();
    Ok(listed.into_iter().map(|entry| String::from_utf8(entry.path).unwrap()).collect())
}

#[tokio::test]
async fn artifacts_outlive_their_job_until_they_are_deleted() {
    let mut cluster = Cluster::start(&[2]).await;
    let document = json!({"name": "report", "artifacts": ["*.txt", "/dist/", "!dist/old"], "tasks": {
        "a": {"command": "mkdir dist; echo 1 > dist/x; echo 2 > dist/old; echo 3 > a.txt; echo 4 > b.log"},
        "b": {"depends": ["a"], "command": "echo 5 > b.txt; rm a.txt"},
        "c": {"depends": ["a"], "command": "exit 1"},
    }});
    let (id, _) = run(&cluster, &document, job::State::Failed).await;
    let conflict = json!({"artifacts": ["*"], "tasks": {
        "a": {"command": "echo a > same"}, "b": {"command": "echo b > same"},
    }});
    let (torn, _) = run(&cluster, &conflict, job::State::Succeeded).await;
    let purge = "select (postq.purge_finished('0 s') ->> 'purged')::bigint";
    assert_eq!(cluster.database.value::<i64>(purge).await, 0, "the artifacts are not kept yet");
    assert_eq!(paths(&cluster, id, true).await, Err(Code::FailedPrecondition));

    cluster.database.execute("select postq.purge('default')").await;
    look_through_ended_jobs(&mut cluster).await;
    let wanted = ["b.txt", "dist", "dist/x"].map(str::to_owned).to_vec();
    assert_eq!(paths(&cluster, id, true).await, Ok(wanted.clone()));
    assert!(paths(&cluster, id, false).await.unwrap().contains(&"b.log".to_owned()));
    assert_eq!(cluster.database.value::<i64>(purge).await, 2);
    assert_eq!(paths(&cluster, id, false).await, Ok(wanted));
    assert_eq!(paths(&cluster, torn, false).await, Err(Code::FailedPrecondition));

    let mut client = ArtifactServiceClient::new(cluster.client().channel());
    let list = ListArtifactsRequest { page_size: 1, page_token: String::new() };
    let newest = client.list_artifacts(list).await.unwrap().into_inner();
    assert_eq!(newest.artifacts[0].job_id, torn.to_string());
    assert!(newest.artifacts[0].reason.contains("same by `a` and `b`"), "{newest:?}");
    let list = ListArtifactsRequest { page_size: 1, page_token: newest.next_page_token };
    let last = client.list_artifacts(list).await.unwrap().into_inner();
    let artifacts = &last.artifacts[0];
    assert_eq!((artifacts.files, artifacts.bytes), (2, 4), "{artifacts:?}");
    assert_eq!(
        (artifacts.job_name.as_str(), artifacts.job_state(), last.next_page_token.as_str()),
        ("report", job::State::Failed, "")
    );
    let delete = DeleteArtifactsRequest { job_id: id.to_string() };
    client.delete_artifacts(delete.clone()).await.unwrap();
    assert_eq!(client.delete_artifacts(delete).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(paths(&cluster, id, false).await, Err(Code::NotFound));
}

#[tokio::test]
async fn artifacts_are_fetched_whole_when_all_else_of_their_job_is_collected() {
    const SIZE: usize = 3 << 20;
    let mut cluster = Cluster::start(&[1]).await;
    // What stays and what goes is in the same packs.
    let make = format!("for f in kept gone; do head -c {SIZE} /dev/urandom > $f; done");
    let document = json!({"artifacts": ["kept"], "tasks": {
        "a": {"command": make}, "b": {"depends": ["a"], "command": "echo b >> kept"},
    }});
    let (id, _) = run(&cluster, &document, job::State::Succeeded).await;
    look_through_ended_jobs(&mut cluster).await;
    let whole = cluster.path("whole");
    let workspace = Workspace::over(cluster.client().channel());
    let left = left_by(&cluster, id, false).await.unwrap();
    workspace.download(&left, &whole).await.unwrap();

    let purge = "select (postq.purge_finished('0 s') ->> 'purged')::bigint";
    assert_eq!(cluster.database.value::<i64>(purge).await, 1);
    let stored = "select sum(stored_bytes)::bigint from postq.blob";
    cluster.database.advance_clock("25 hours").await;
    look_through_ended_jobs(&mut cluster).await;
    let database = &cluster.database;
    eventually("what nobody needs is forgotten", LIMIT, async || {
        (database.value::<i64>(stored).await < 2 * SIZE as i64).then_some(())
    })
    .await;
    let artifacts = left_by(&cluster, id, false).await.unwrap();
    let fetched = cluster.path("fetched");
    let workspace = Workspace::over(cluster.client().channel());
    workspace.download(&artifacts, &fetched).await.unwrap();
    let of = |dir: &Path| std::fs::read(dir.join("kept")).unwrap();
    assert_eq!(of(&fetched).len(), SIZE + 2);
    assert!(of(&fetched) == of(&whole), "another content");
    assert!(whole.join("gone").exists() && !fetched.join("gone").exists());
}

fn effort(job: &Job, task: &str) -> (Attempt, Effort) {
    let attempt = job.tasks[task].attempt.clone().unwrap();
    let effort = attempt.effort.unwrap_or_else(|| panic!("{task} tells no effort"));
    (attempt, effort)
}

#[tokio::test]
async fn an_attempt_tells_what_its_files_took() {
    const SIZE: i64 = 3 << 20;
    let cluster = Cluster::start(&[1]).await;
    let document = json!({"tasks": {
        "a": {"command": format!("head -c {SIZE} /dev/urandom > big")},
        "b": {"depends": ["a"], "command": "cp big again"},
        "c": {"depends": ["b"], "command": "exit 1"},
        "none": {"command": "true", "workspace": "NONE"},
    }});
    let (_, job) = run(&cluster, &document, job::State::Failed).await;
    let (attempt, of_a) = effort(&job, "a");
    assert_eq!((of_a.entries, of_a.bytes, of_a.hashed_bytes), (1, SIZE, SIZE), "{of_a:?}");
    assert!(of_a.sent_bytes >= SIZE && of_a.saved_bytes == 0, "{of_a:?}");
    assert!(attempt.ran_for.is_some() && of_a.upload.is_some(), "{attempt:?}");
    let (_, of_b) = effort(&job, "b");
    // What was written an instant before is read again, to be sure.
    assert_eq!((of_b.entries, of_b.bytes, of_b.received_bytes), (2, 2 * SIZE, 0), "{of_b:?}");
    assert!(of_b.hashed_bytes >= SIZE, "{of_b:?}");
    assert!(of_b.saved_bytes == SIZE && of_b.sent_bytes < 10_000, "{of_b:?}");
    let (_, of_c) = effort(&job, "c");
    assert!(of_c.checkout.is_some() && of_c.entries == 0, "{of_c:?}");
    assert!(job.tasks["none"].attempt.as_ref().unwrap().effort.is_none());
    let by_sql = "select effort ->> 'saved_bytes' from postq.tasks where name = 'b'";
    assert_eq!(cluster.database.value::<String>(by_sql).await, SIZE.to_string());
}

/// Removes all that a store keeps.
fn wipe(cluster: &Cluster) {
    std::fs::remove_dir_all(cluster.path("store/packs")).unwrap();
}

#[tokio::test]
async fn lost_files_fail_who_needs_them_and_a_retry_runs_again_who_made_them() {
    let mut cluster = Cluster::start(&[1]).await;
    let far = json!([{"label": "far", "exists": true}]);
    let runs = cluster.path("runs");
    let document = json!({"tasks": {
        "early": {"command": format!("echo early >> {0}; echo e > early", runs.display())},
        "made": {"depends": ["early"], "command": format!("echo made >> {0}; cat early; echo m > made", runs.display())},
        "aside": {"command": format!("echo aside >> {0}; echo a > aside", runs.display())},
        "needs": {"depends": ["made"], "command": "cat early made", "requires": far, "retry": {"max_attempts": 9}},
        "joins": {"depends": ["made", "aside"], "command": "cat early made aside", "requires": far},
    }});
    let id = cluster.submit(&document).await;
    let client = cluster.client();
    let is_made = |job: &Job| {
        ["made", "aside"].iter().all(|name| job.tasks[*name].state() == task::State::Succeeded)
    };
    client.wait_until(id, "the files are made", LIMIT, is_made).await;
    wipe(&cluster);
    let environment = vec![("POSTQ_LABELS".to_owned(), "far=yes".into())];
    cluster.add_agent(AgentSetup { slots: 1, environment, ..AgentSetup::default() }).await;
    let job = client.wait(id, LIMIT).await;
    for name in ["needs", "joins"] {
        let task = &job.tasks[name];
        assert!(task.reason.starts_with("input lost: "), "{name}: {}", task.reason);
        assert_eq!((task.state(), task.attempts), (task::State::Failed, 1), "{name}");
    }
    let request = RetryJobRequest { id: id.to_string(), ..Default::default() };
    let again = client.jobs().retry_job(request).await.unwrap().into_inner().id;
    let job = client.wait(again.parse().unwrap(), LIMIT).await;
    assert_eq!(job.state(), job::State::Succeeded, "{job:#?}");
    assert_eq!(job.tasks["needs"].results, "e\nm\n");
    assert_eq!(job.tasks["joins"].results, "e\nm\na\n");
    let mut ran = cluster.lines("runs");
    ran.sort_unstable();
    assert_eq!(ran, ["aside", "aside", "early", "early", "made", "made"]);
}
