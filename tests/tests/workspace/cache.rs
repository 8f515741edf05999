//! Directories of finished tasks: handed over without a copy, never wrong, bounded.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use postq_agent::workspace::Workspace;
use postq_proto::v1;

use crate::{
    damage::noise,
    files::{Served, chmod, seen, write},
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
async fn what_has_moved_is_copied_and_not_fetched() {
    let served = Served::start().await;
    let (workspace, elsewhere) = (cached(&served, 1 << 30), served.workspace());
    leave(&served, &workspace, &[("large", 5_000_000)]).await;
    let dir = served.directory("elsewhere");
    write(&dir, "moved/large", noise(5_000_000));
    write(&dir, "moved/more", noise(1_000));
    let other = elsewhere.upload_dir(&dir).await.unwrap().snapshot;
    let to = served.directory("to");
    workspace.checkout(&other, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
    let effort = workspace.snapshot(&other, &to, 2).await.unwrap().effort;
    assert_eq!(effort.local_bytes, 5_000_000, "{effort:?}");
    assert!(served.scratch.path().join("cache/1/large").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_almost_right_is_taken_over_and_mended() {
    let served = Served::start().await;
    let (workspace, elsewhere) = (cached(&served, 1 << 30), served.workspace());
    let base = served.directory("base");
    let mut content = noise(20 << 20);
    write(&base, "large", &content);
    for name in ["kept", "bits", "time", "gone/x", "becomes-dir", "becomes-file/y", "rewritten"] {
        write(&base, name, format!("content of {name}"));
    }
    symlink("kept", base.join("link")).unwrap();
    symlink("kept", base.join("same-link")).unwrap();
    fs::create_dir(base.join("locked")).unwrap();
    write(&base, "locked/inside", "x");
    chmod(&base.join("locked"), 0o555);
    chmod(&base.join("large"), 0o444);
    let first = elsewhere.upload_dir(&base).await.unwrap().snapshot;
    let here = served.directory("here");
    workspace.checkout(&first, &here).await.unwrap();
    let first = workspace.snapshot(&first, &here, 0).await.unwrap().snapshot;
    let cache = served.scratch.path().join("cache/1");
    let inode = |dir: &Path, name: &str| fs::symlink_metadata(dir.join(name)).unwrap().ino();
    let before = ["large", "kept", "bits"].map(|name| inode(&cache, name));

    let there = served.directory("there");
    elsewhere.checkout(&first, &there).await.unwrap();
    content[7_000_000..7_010_000].fill(1);
    chmod(&there.join("large"), 0o644);
    write(&there, "large", &content);
    chmod(&there.join("bits"), 0o711);
    let past = std::time::SystemTime::UNIX_EPOCH;
    File::open(there.join("time")).unwrap().set_modified(past).unwrap();
    for gone in ["gone", "becomes-file"] {
        fs::remove_dir_all(there.join(gone)).unwrap();
    }
    for gone in ["becomes-dir", "link"] {
        fs::remove_file(there.join(gone)).unwrap();
    }
    write(&there, "becomes-dir/z", "z");
    write(&there, "becomes-file", "file");
    write(&there, "rewritten", "other");
    symlink("large", there.join("link")).unwrap();
    chmod(&there.join("locked"), 0o755);
    write(&there, "locked/new", "new");
    chmod(&there.join("locked"), 0o555);
    let second = elsewhere.snapshot(&first, &there, 1).await.unwrap().snapshot;

    let next = served.directory("next");
    workspace.checkout(&second, &next).await.unwrap();
    assert_eq!(seen(&next), seen(&there));
    assert_eq!(["large", "kept", "bits"].map(|name| inode(&next, name)), before);
    let taken = workspace.snapshot(&second, &next, 2).await.unwrap();
    assert_eq!(taken.snapshot, second);
    assert!(taken.effort.received_bytes < 3 << 20, "{:?}", taken.effort);
    // So that they can be removed.
    let cached = served.scratch.path().join("cache/2");
    [&base, &there, &cached].iter().for_each(|dir| chmod(&dir.join("locked"), 0o755));
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
                "bits" => chmod(&path, 0o777),
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
