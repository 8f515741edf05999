//! What of a task's directory is kept: patterns and limits.

use std::{fs, os::unix::fs::symlink};

use postq_agent::workspace::{Limits, Rules, WorkspaceError};
use postq_proto::v1;

use crate::files::{Served, seen, write};

fn rules(ignore: &[&str], outputs: &[&str]) -> Rules {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Rules::new(&owned(ignore), &owned(outputs), Limits::default()).unwrap()
}

async fn paths(served: &Served, snapshot: &v1::Snapshot) -> Vec<String> {
    let listed = served.workspace().list(snapshot).await.unwrap();
    listed.into_iter().map(|entry| String::from_utf8(entry.path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_outputs_are_kept_and_what_was_inherited_passes_through() {
    let served = Served::start().await;
    let from = served.directory("from");
    write(&from, "source/a", "a");
    write(&from, "out/old", "old");
    let base = served.workspace().upload_dir(&from).await.unwrap().snapshot;
    let (workspace, dir) = (served.workspace(), served.directory("work"));
    workspace.checkout(&base, &dir).await.unwrap();
    write(&dir, "source/a", "changed, and not kept");
    write(&dir, "scratch/large", crate::damage::noise(3 << 20));
    write(&dir, "out/new", "new");
    write(&dir, "deep/er/table.csv", "1,2");
    fs::remove_file(dir.join("out/old")).unwrap();
    let chosen = rules(&[], &["/out/", "*.csv"]);
    let taken = workspace.snapshot_by(&base, &dir, 1, chosen).await.unwrap();
    let wanted = ["deep", "deep/er", "deep/er/table.csv", "out", "out/new", "source", "source/a"];
    assert_eq!(paths(&served, &taken.snapshot).await, wanted);
    assert!(taken.effort.sent_bytes < 10_000, "what is not kept was sent");
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(fs::read_to_string(to.join("source/a")).unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ignored_is_neither_taken_nor_removed() {
    let served = Served::start().await;
    let from = served.directory("from");
    write(&from, "target/debug/kept", "from the input");
    write(&from, "a", "a");
    let base = served.workspace().upload_dir(&from).await.unwrap().snapshot;
    let ignored = rules(&["target/", "*.log", "!keep.log"], &[]);
    let (workspace, dir) = (served.workspace(), served.directory("work"));
    workspace.checkout(&base, &dir).await.unwrap();
    fs::remove_dir_all(dir.join("target")).unwrap();
    write(&dir, "b.log", "left out");
    write(&dir, "keep.log", "kept");
    fs::create_dir_all(dir.join("x/target")).unwrap();
    symlink("/etc", dir.join("x/target/etc")).unwrap();
    let taken = workspace.snapshot_by(&base, &dir, 1, ignored.clone()).await.unwrap();
    let wanted = ["a", "keep.log", "target", "target/debug", "target/debug/kept", "x"];
    assert_eq!(paths(&served, &taken.snapshot).await, wanted);

    let first = served.workspace().upload_dir_by(&from, ignored).await.unwrap();
    assert_eq!(paths(&served, &first.snapshot).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_passed_is_named_by_either_side() {
    let served = Served::start().await;
    let dir = served.directory("from");
    write(&dir, "d/e/f", "12345");
    write(&dir, "g", "67890");
    let whole = served.workspace().upload_dir(&dir).await.unwrap().snapshot;
    let default = Limits::default();
    for (limits, wanted) in [
        (Limits { bytes: 9, ..default }, Some("more than 9 bytes")),
        (Limits { entries: 3, ..default }, Some("more than 3 files and directories")),
        (Limits { depth: 1, ..default }, Some("more than 1 levels of directories")),
        (Limits { bytes: 10, entries: 4, depth: 2 }, None),
    ] {
        let workspace = served.workspace().with_limits(limits);
        let to = tempfile::tempdir_in(served.scratch.path()).unwrap();
        for done in [
            workspace.upload_dir(&dir).await.map(drop),
            workspace.checkout(&whole, to.path()).await,
        ] {
            match (done, wanted) {
                (Ok(()), None) => {}
                (Err(error @ WorkspaceError::TooMuch { .. }), Some(wanted)) => {
                    assert!(error.to_string().contains(wanted), "{error}");
                }
                (done, _) => panic!("{limits:?}: {done:?}"),
            }
        }
    }
    assert_eq!(seen(&dir).len(), 4);
}
