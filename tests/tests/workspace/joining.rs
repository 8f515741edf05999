//! Tasks on different agents, and the task that joins them.

use std::{fs, sync::Arc};

use postq_common::merge::OnConflict;
use postq_coordinator::workspace::{Join, MergeError, describe};
use postq_proto::v1::{self, GetSnapshotRequest};
use tonic::Code;
use uuid::Uuid;

use crate::damage::{Damage, damage};
use crate::files::{Served, message, seen, snapshot, write};

/// What `task` leaves of `input` after `work` in its directory, as an agent of its own.
async fn run(
    served: &Served,
    input: &v1::Snapshot,
    task: i32,
    work: impl FnOnce(&std::path::Path),
) -> v1::Snapshot {
    let dir = tempfile::tempdir_in(served.scratch.path()).unwrap();
    let workspace = served.workspace();
    workspace.checkout(input, dir.path()).await.unwrap();
    work(dir.path());
    workspace.snapshot(input, dir.path(), task).await.unwrap().snapshot
}

fn join(parents: &[&v1::Snapshot], on_conflict: OnConflict) -> Join {
    Join {
        job: Uuid::nil(),
        task: 9,
        parents: parents.iter().map(|parent| snapshot(parent)).collect(),
        on_conflict,
        // Task 0 comes first, the others know nothing of each other.
        is_ancestor: Arc::new(|a, b| a == 0 && b != 0),
    }
}

async fn first(served: &Served) -> v1::Snapshot {
    run(served, &Default::default(), 0, |dir| {
        write(dir, "shared/kept", "kept");
        write(dir, "shared/changed", "before");
        write(dir, "shared/deleted", "x");
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_finds_what_each_parent_wrote_and_not_what_one_deleted() {
    let served = Served::start().await;
    let base = first(&served).await;
    let left = run(&served, &base, 1, |dir| {
        write(dir, "shared/changed", "after");
        write(dir, "out/left", "l");
    })
    .await;
    let right = run(&served, &base, 2, |dir| {
        fs::remove_file(dir.join("shared/deleted")).unwrap();
        write(dir, "out/right", "r");
    })
    .await;
    let question = join(&[&left, &right, &base], OnConflict::Fail);
    let merged = served.joins.merge(question).await.unwrap();
    let dir = served.directory("to");
    served.workspace().checkout(&message(&merged), &dir).await.unwrap();
    let found: Vec<String> = seen(&dir)
        .into_iter()
        .map(|(path, (_, content, _))| {
            format!("{}={}", String::from_utf8_lossy(&path), String::from_utf8_lossy(&content))
        })
        .collect();
    let expected = ["out=", "out/left=l", "out/right=r", "shared=", "shared/changed=after"];
    assert_eq!(found, [&expected[..], &["shared/kept=kept"]].concat());
    let other_order = join(&[&base, &right, &left], OnConflict::Fail);
    assert_eq!(served.joins.merge(other_order).await.unwrap(), merged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_names_path_and_tasks_unless_the_last_is_preferred() {
    let served = Served::start().await;
    let base = first(&served).await;
    let left = run(&served, &base, 1, |dir| drop(write(dir, "shared/changed", "left"))).await;
    let right = run(&served, &base, 2, |dir| drop(write(dir, "shared/changed", "right"))).await;
    let refused = served.joins.merge(join(&[&left, &right], OnConflict::Fail)).await;
    let Err(MergeError::Conflict(conflicts)) = refused else { panic!("{refused:?}") };
    let told = describe(&conflicts, |task| format!("t{task}"));
    assert!(told.contains("shared/changed by `t1` and `t2`"), "{told}");

    let preferred = join(&[&right, &left], OnConflict::PreferLast);
    let merged = served.joins.merge(preferred).await.unwrap();
    let dir = served.directory("to");
    served.workspace().checkout(&message(&merged), &dir).await.unwrap();
    assert_eq!(fs::read_to_string(dir.join("shared/changed")).unwrap(), "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_the_last_tasks_fails_the_reading_of_the_job() {
    let served = Served::start().await;
    let base = first(&served).await;
    let left = run(&served, &base, 1, |dir| drop(write(dir, "new", "left"))).await;
    let right = run(&served, &base, 2, |dir| drop(write(dir, "new", "right"))).await;
    let mut client = served.with_left(vec![snapshot(&left), snapshot(&right)]).await;
    let job_id = Uuid::nil().to_string();
    let request = GetSnapshotRequest { job_id, ..GetSnapshotRequest::default() };
    let status = client.get_snapshot(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("new by `task-1` and `task-2`"), "{status}");
    let mut client = served.with_left(vec![snapshot(&left)]).await;
    let answer = client.get_snapshot(request).await.unwrap().into_inner();
    assert_eq!(answer.snapshot.unwrap(), left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_tree_fails_the_join_and_is_named() {
    let served = Served::start().await;
    let base = first(&served).await;
    let left = run(&served, &base, 1, |dir| drop(write(dir, "a", "1"))).await;
    let right = run(&served, &base, 2, |dir| drop(write(dir, "b", "2"))).await;
    let lost = snapshot(&left).provenance.unwrap();
    damage(served.place(lost).await, Damage::Overwrite);
    let refused = served.joins.merge(join(&[&left, &right], OnConflict::Fail)).await;
    let Err(MergeError::Blob(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains(&lost.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_changes_nothing_leaves_what_it_found() {
    let served = Served::start().await;
    let base = first(&served).await;
    let same = run(&served, &base, 5, |_| ()).await;
    assert_eq!(same, base);
}
