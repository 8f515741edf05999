//! Tasks that start from the same files on one agent: they are fetched once, cloned where the file
//! system can, and never what a sibling has made of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::statvfs::statvfs;
use postq_agent::workspace::Workspace;
use postq_common::tree::{Digest, Directory, Entry, Kind, Node, Snapshot};
use postq_proto::v1::{self, blob_piece::Piece};

use crate::{
    damage::{noise, start, upload},
    files::{Served, message, seen, write},
};

fn cached(served: &Served, dir: &Path) -> Workspace {
    served.workspace().with_cache(&dir.join("cache"), 1 << 30).unwrap()
}

/// What a task on another agent leaves.
async fn left_elsewhere(served: &Served, large: usize) -> v1::Snapshot {
    let from = served.directory("from");
    write(&from, "d/large", noise(large));
    for number in 0..20 {
        write(&from, format!("d/small-{number}"), format!("content {number}"));
    }
    served.workspace().upload_dir(&from).await.unwrap().snapshot
}

/// Makes it the directory of a finished task of this agent.
async fn finish_one(workspace: &Workspace, left: &v1::Snapshot, dir: &Path) {
    fs::create_dir(dir).unwrap();
    workspace.checkout(left, dir).await.unwrap();
    workspace.snapshot(left, dir, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_that_start_at_once_fetch_their_files_once() {
    let served = Served::start().await;
    let left = left_elsewhere(&served, 9_000_000).await;
    let workspace = cached(&served, served.scratch.path());
    let dirs: Vec<PathBuf> = (0..3).map(|number| served.directory(&format!("{number}"))).collect();
    let starting = dirs.iter().map(|dir| workspace.checkout(&left, dir));
    futures::future::try_join_all(starting).await.unwrap();
    let mut received = Vec::new();
    for dir in &dirs {
        assert_eq!(seen(dir), seen(&served.scratch.path().join("from")));
        let effort = workspace.snapshot(&left, dir, 1).await.unwrap().effort;
        received.push(effort.received_bytes);
    }
    received.sort_unstable();
    assert_eq!(received[..2], [0, 0], "{received:?}");
    assert!(received[2] >= 9_000_000, "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sibling_never_gets_what_another_one_has_made_of_its_files() {
    let served = Served::start().await;
    let left = left_elsewhere(&served, 9_000_000).await;
    let workspace = cached(&served, served.scratch.path());
    finish_one(&workspace, &left, &served.scratch.path().join("parent")).await;
    let (first, second) = (served.directory("first"), served.directory("second"));
    workspace.checkout(&left, &first).await.unwrap();
    write(&first, "d/small-3", "content X");
    fs::remove_file(first.join("d/small-4")).unwrap();
    let mut large = noise(9_000_000);
    large[8_000_000] ^= 1;
    write(&first, "d/large", large);
    workspace.checkout(&left, &second).await.unwrap();
    assert_eq!(seen(&second), seen(&served.scratch.path().join("from")));
    let effort = workspace.snapshot(&left, &second, 1).await.unwrap().effort;
    // Of the large file, all but one chunk was there.
    assert!(effort.received_bytes < 3 << 20, "{effort:?}");
    assert!(effort.local_bytes > 6_000_000, "{effort:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_lies_about_a_size_gets_no_part_of_a_file_that_is_here() {
    let served = Served::start().await;
    let left = left_elsewhere(&served, 3_000_000).await;
    let workspace = cached(&served, served.scratch.path());
    finish_one(&workspace, &left, &served.scratch.path().join("parent")).await;
    let digest = Digest::of(b"content 3");
    for size in [4, 10, 3_000_000] {
        let entry = Entry { name: "f".into(), kind: Kind::File { digest, size, bits: 0o644 } };
        let node = Directory::new(vec![entry]).unwrap().encode();
        let name = Digest::of(&node);
        let pieces = vec![start(name, node.len() as u64), Piece::Data(node)];
        upload(&served, pieces).await.unwrap();
        let tree = message(&Snapshot { content: Some(name), ..Snapshot::default() });
        let to = served.directory(&format!("to-{size}"));
        assert!(workspace.checkout(&tree, &to).await.is_err(), "{size}");
        assert!(!to.join("f").exists(), "{size}");
    }
}

/// A file system of its own; gone when the test ends.
struct Image(PathBuf);

impl Image {
    /// One that has little room.
    fn small(dir: &Path) -> Self {
        let at = dir.join("small");
        fs::create_dir(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=4m", "postq-test"];
        let status = Command::new("mount").args(options).arg(&at).status();
        assert!(status.expect("mount").success(), "run this test as root");
        Self(at)
    }

    /// One that shares blocks, in a file.
    fn mount(dir: &Path) -> Self {
        let (image, at) = (dir.join("image"), dir.join("mounted"));
        fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).args([&image]).status();
            assert!(status.expect(program).success(), "{program}: run this test as root");
        };
        run("mkfs.xfs", &["-q", "-m", "reflink=1"]);
        run("mount", &["-o", "loop", "--target", at.to_str().unwrap()]);
        Self(at)
    }

    fn used(&self) -> u64 {
        let found = statvfs(&self.0).unwrap();
        (found.blocks() - found.blocks_free()) * found.fragment_size()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_share_blocks_where_the_file_system_can() {
    const LARGE: usize = 48 << 20;
    let served = Served::start().await;
    let left = left_elsewhere(&served, LARGE).await;
    let image = Image::mount(served.scratch.path());
    let workspace = cached(&served, &image.0);
    finish_one(&workspace, &left, &image.0.join("parent")).await;
    let before = image.used();
    let dirs = ["first", "second", "third"].map(|name| image.0.join(name));
    for dir in &dirs {
        fs::create_dir(dir).unwrap();
        workspace.checkout(&left, dir).await.unwrap();
    }
    nix::unistd::sync();
    let more = image.used().saturating_sub(before);
    assert!(more < LARGE as u64 / 4, "two copies of {LARGE} bytes take {more}");
    for dir in &dirs {
        assert_eq!(seen(dir), seen(&served.scratch.path().join("from")));
    }
    // What one of them writes is its own.
    write(&dirs[0], "d/large", "other");
    assert_eq!(fs::read(dirs[1].join("d/large")).unwrap(), noise(LARGE));
}

/// All that the task needs is on this host, but there is no room for a copy of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_copied_is_an_error_and_not_a_file_of_zeros() {
    let served = Served::start().await;
    let left = left_elsewhere(&served, 9_000_000).await;
    let workspace = cached(&served, served.scratch.path());
    finish_one(&workspace, &left, &served.scratch.path().join("parent")).await;
    // It holds on to the files that the cache would hand over as they are.
    let holder = served.directory("holder");
    workspace.checkout(&left, &holder).await.unwrap();
    let small = Image::small(served.scratch.path());
    let to = small.0.join("task");
    fs::create_dir(&to).unwrap();
    let error = workspace.checkout(&left, &to).await.expect_err("no room");
    assert!(format!("{error:?}").contains("StorageFull"), "{error:?}");
}
