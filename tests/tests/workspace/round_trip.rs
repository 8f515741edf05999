//! A directory kept and checked out elsewhere is the same directory.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use nix::sys::stat::Mode;
use postq_agent::workspace::{Workspace, WorkspaceError};
use postq_common::tree::{MAX_DEPTH, TreeError};
use proptest::{collection::vec, prelude::*};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use crate::files::{Served, channel, chmod, seen, serve, snapshot, write};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_arrives_as_it_was_left() {
    let served = Served::start().await;
    let dir = served.directory("from");
    chmod(&write(&dir, "bin/run", "#!/bin/sh\n"), 0o755);
    chmod(&write(&dir, "secret", "x"), 0o400);
    write(&dir, b"not \xff utf-8/\xfe", "bytes");
    write(&dir, "empty file", "");
    write(&dir, "twice/a", "the same");
    chmod(&write(&dir, "twice/b", "the same"), 0o600);
    write(&dir, "over one piece", vec![7; (1 << 20) + 1]);
    write(&dir, "over one part", (0..9_000_000_u32).map(|n| n as u8).collect::<Vec<_>>());
    fs::create_dir_all(dir.join("empty/inside")).unwrap();
    chmod(&dir.join("empty"), 0o555);
    symlink("nowhere/../at all", dir.join("dangling")).unwrap();
    symlink("/etc", dir.join("absolute")).unwrap();
    let past = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    File::open(dir.join("bin/run")).unwrap().set_modified(past).unwrap();
    File::open(dir.join("twice")).unwrap().set_modified(past).unwrap();

    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    assert_eq!(taken.warnings, Vec::<String>::new());
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
    let again = served.workspace().upload_dir(&to).await.unwrap();
    assert_eq!(again.snapshot, taken.snapshot);
    let named = served.blobs.snapshot(taken.digest.parse().unwrap()).await.unwrap();
    assert_eq!(named, snapshot(&taken.snapshot));
    // So that they can be removed.
    [dir, to].iter().for_each(|dir| chmod(&dir.join("empty"), 0o755));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_left_out_and_named() {
    let served = Served::start().await;
    let dir = served.directory("from");
    nix::unistd::mkfifo(&dir.join("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    write(&dir, "file", "x");
    let mut taken = served.workspace().upload_dir(&dir).await.unwrap();
    taken.warnings.sort();
    assert_eq!(taken.warnings.len(), 2);
    assert!(taken.warnings[0].contains("`pipe`") && taken.warnings[0].contains("FIFO"));
    let listed = served.workspace().list(&taken.snapshot).await.unwrap();
    assert_eq!(listed.iter().map(|entry| &entry.path[..]).collect::<Vec<_>>(), [b"file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_an_empty_snapshot() {
    let served = Served::start().await;
    let dir = served.directory("from");
    let taken = served.workspace().snapshot(&Default::default(), &dir, 0).await.unwrap();
    assert_eq!(taken.snapshot, Default::default());
    let to = served.scratch.path().join("made/for it");
    served.workspace().download(&taken.snapshot, &to).await.unwrap();
    assert!(seen(&to).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_may_be_nested_deeply_but_not_without_end() {
    let served = Served::start().await;
    let dir = served.directory("from");
    let deepest = "d/".repeat(MAX_DEPTH - 1);
    write(&dir, format!("{deepest}f"), "x");
    let workspace = served.workspace();
    let taken = workspace.snapshot(&Default::default(), &dir, 0).await.unwrap();
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
    write(&dir, format!("{deepest}d/f"), "x");
    let refused = workspace.snapshot(&taken.snapshot, &dir, 0).await;
    assert!(matches!(refused, Err(WorkspaceError::Tree(TreeError::TooDeep))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_over() {
    let served = Served::start().await;
    let dir = served.directory("from");
    write(&dir, "mine", "x");
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    let refused = served.workspace().download(&taken.snapshot, &dir).await;
    assert!(matches!(refused, Err(WorkspaceError::NotEmpty { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_comes_back_elsewhere_is_found() {
    let served = Served::start().await;
    let dir = served.directory("from");
    write(&dir, "a/b", "x");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sender, receiver) = watch::channel(channel(gone.local_addr().unwrap()));
    drop(gone);
    let workspace = Workspace::new(receiver);
    let kept = tokio::spawn({
        let dir = dir.clone();
        async move { workspace.upload_dir(&dir).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    sender.send_replace(channel(listener.local_addr().unwrap()));
    serve(listener, &served.blobs, Vec::new());
    let taken = kept.await.unwrap().unwrap();
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
}

/// Files with few names, so that directories hold several, and content from nothing to a few
/// pieces.
fn tree() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, usize, u32)>> {
    let name = prop_oneof![
        3 => prop_oneof![Just(b"a".to_vec()), Just(b"b".to_vec()), Just(b"a b".to_vec())],
        1 => vec(any::<u8>().prop_filter("a name", |b| !b"/\0.".contains(b)), 1..=40),
    ];
    let size = prop_oneof![3 => 0..2000_usize, 1 => 200_000..800_000_usize];
    let bits = prop_oneof![Just(0o644), Just(0o755), Just(0o600)];
    vec((vec(name, 1..=4), size, bits), 0..=20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_arrives_as_it_was_left(tree in tree()) {
        Runtime::new().unwrap().block_on(async {
            let served = Served::start().await;
            let dir = served.directory("from");
            for (number, (names, size, bits)) in tree.iter().enumerate() {
                let names = names.iter().map(|name| OsString::from_vec(name.clone()));
                let path = dir.join(names.collect::<PathBuf>());
                let made = fs::create_dir_all(path.parent().unwrap())
                    .and_then(|()| fs::write(&path, vec![number as u8; *size]));
                // Some names are taken by a file or a directory already.
                if made.is_ok() {
                    chmod(&path, *bits);
                }
            }
            let taken = served.workspace().upload_dir(&dir).await.unwrap();
            let to = served.directory("to");
            served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
            assert_eq!(seen(&to), seen(&dir));
        });
    }
}
