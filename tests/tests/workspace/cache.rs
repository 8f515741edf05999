//! Directories of finished tasks: handed over without a copy, never wrong, bounded.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use postq_agent::workspace::Workspace;
use postq_proto::v1;

use crate::{
    damage::noise,
    files::{Served, seen, write},
};

fn cached(served: &Served, bytes: u64) -> Workspace {
    served.workspace().with_cache(&served.scratch.path().join("cache"), bytes).unwrap()
}

/// What a task leaves that starts from nothing and makes `files` of so many bytes.
async fn leave(served: &Served, workspace: &Workspace, files: &[(&str, usize)]) -> v1::Snapshot {
    let dir = tempfile::tempdir_in(served.scratch.path()).unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    workspace.checkout(&v1::Snapshot::default(), &work).await.unwrap();
    for (name, size) in files {
        write(&work, name, noise(*size));
    }
    workspace.snapshot(&v1::Snapshot::default(), &work, 0).await.unwrap().snapshot
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_task_gets_the_very_directory() {
    let served = Served::start().await;
    let workspace = cached(&served, 1 << 30);
    let left = leave(&served, &workspace, &[("a", 5_000_000), ("d/b", 10)]).await;
    let cache = served.scratch.path().join("cache");
    let inode = fs::metadata(cache.join("1/a")).unwrap().ino();
    let next = served.directory("next");
    workspace.checkout(&left, &next).await.unwrap();
    assert_eq!(fs::metadata(next.join("a")).unwrap().ino(), inode);
    assert_eq!(entries(&cache), 0);
    let taken = workspace.snapshot(&left, &next, 1).await.unwrap();
    assert_eq!(taken.snapshot, left);
    assert_eq!(taken.effort.received_bytes, 0, "{:?}", taken.effort);
    assert!(taken.effort.sent_bytes < 200, "{:?}", taken.effort);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_here_by_another_task_is_copied_and_not_fetched() {
    let served = Served::start().await;
    let (workspace, elsewhere) = (cached(&served, 1 << 30), served.workspace());
    let left = leave(&served, &workspace, &[("large", 5_000_000), ("small", 10)]).await;
    // Somebody else has changed it.
    let dir = served.directory("elsewhere");
    elsewhere.checkout(&left, &dir).await.unwrap();
    write(&dir, "new", "new");
    let other = elsewhere.snapshot(&left, &dir, 1).await.unwrap().snapshot;
    let to = served.directory("to");
    workspace.checkout(&other, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
    let effort = workspace.snapshot(&other, &to, 2).await.unwrap().effort;
    assert_eq!(effort.local_bytes, 5_000_010, "{effort:?}");
    assert!(effort.received_bytes < 100, "{effort:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_cache_is_found_and_fetched_again() {
    let whole = noise(5_000_000);
    for how in ["truncate", "flip", "delete", "swap", "bits", "more"] {
        let served = Served::start().await;
        let workspace = cached(&served, 1 << 30);
        let left = leave(&served, &workspace, &[("large", whole.len()), ("d/small", 10)]).await;
        for name in ["large", "d/small"] {
            let path = served.scratch.path().join("cache/1").join(name);
            let mut bytes = fs::read(&path).unwrap();
            match how {
                "truncate" => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                "flip" => {
                    bytes[0] ^= 1;
                    fs::write(&path, bytes).unwrap();
                }
                "delete" => fs::remove_file(&path).unwrap(),
                "swap" => fs::write(&path, &noise(bytes.len() + 8)[8..]).unwrap(),
                "bits" => crate::files::chmod(&path, 0o777),
                _ => drop(write(path.parent().unwrap(), "added", "added")),
            }
        }
        let to = served.directory("to");
        workspace.checkout(&left, &to).await.unwrap();
        let pristine = served.directory("pristine");
        served.workspace().checkout(&left, &pristine).await.unwrap();
        assert_eq!(seen(&to), seen(&pristine), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_bound_and_the_oldest_goes_first() {
    let served = Served::start().await;
    let workspace = cached(&served, 3_000_000);
    let cache = served.scratch.path().join("cache");
    let mut left = Vec::new();
    for number in 0..6 {
        let name = format!("f{number}");
        left.push(leave(&served, &workspace, &[(&name, 900_000)]).await);
        assert!(entries(&cache) <= 3, "{number}");
    }
    assert!(cache.join("6").exists() && !cache.join("1").exists());
    leave(&served, &workspace, &[("too large", 4_000_000)]).await;
    assert!(!cache.join("7").exists());
    // What was dropped comes from the store.
    for (number, left) in left.iter().enumerate() {
        let to = served.directory(&format!("to-{number}"));
        workspace.checkout(left, &to).await.unwrap();
        assert_eq!(fs::read(to.join(format!("f{number}"))).unwrap(), noise(900_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_process_left_is_gone() {
    let served = Served::start().await;
    let workspace = cached(&served, 1 << 30);
    leave(&served, &workspace, &[("a", 10)]).await;
    let cache = served.scratch.path().join("cache");
    assert_eq!(entries(&cache), 1);
    cached(&served, 1 << 30);
    assert_eq!(entries(&cache), 0);
}
