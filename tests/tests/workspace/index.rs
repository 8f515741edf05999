//! What was seen is not read again, and what has changed is never missed.

use std::{
    fs::{self, File, FileTimes},
    path::Path,
    time::Duration,
};

use postq_agent::workspace::Workspace;
use postq_proto::v1;
use proptest::{collection::vec, prelude::*};
use tokio::runtime::Runtime;

use crate::files::{Served, chmod, seen, write};

/// Waits until what is written now cannot be mistaken for what was written before.
fn let_the_clock_tick(dir: &Path) {
    let stamp = |name: &str| {
        fs::write(dir.with_extension(name), "").unwrap();
        fs::metadata(dir.with_extension(name)).unwrap().modified().unwrap()
    };
    let first = stamp("first");
    while stamp("next") < first + Duration::from_millis(40) {
        std::thread::yield_now();
    }
}

async fn checked_out(workspace: &Workspace, input: &v1::Snapshot, dir: &Path) {
    workspace.checkout(input, dir).await.unwrap();
    let_the_clock_tick(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_read_and_sent() {
    let served = Served::start().await;
    let from = served.directory("from");
    for number in 0..50 {
        write(&from, format!("d{}/f{number}", number % 5), format!("content {number}"));
    }
    write(&from, "large", crate::damage::noise(33 << 20));
    let base = served.workspace().upload_dir(&from).await.unwrap().snapshot;

    let (workspace, dir) = (served.workspace(), served.directory("work"));
    checked_out(&workspace, &base, &dir).await;
    write(&dir, "d1/f1", "changed");
    let taken = workspace.snapshot(&base, &dir, 1).await.unwrap();
    assert_eq!(taken.effort.entries, 56);
    assert_eq!(taken.effort.hashed_bytes, 7, "{:?}", taken.effort);
    assert!(taken.effort.sent_bytes < 5_000, "{:?}", taken.effort);
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hides_its_time_and_size_is_found() {
    let served = Served::start().await;
    let from = served.directory("from");
    write(&from, "f", "before");
    let base = served.workspace().upload_dir(&from).await.unwrap().snapshot;
    let (workspace, dir) = (served.workspace(), served.directory("work"));
    checked_out(&workspace, &base, &dir).await;
    let path = dir.join("f");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "after!").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(before)).unwrap();
    let taken = workspace.snapshot(&base, &dir, 1).await.unwrap();
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(fs::read_to_string(to.join("f")).unwrap(), "after!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_same_instant_is_found() {
    for round in 0..20 {
        let served = Served::start().await;
        let cache = served.scratch.path().join("cache");
        let from = served.directory("from");
        write(&from, "f", "a");
        let base = served.workspace().upload_dir(&from).await.unwrap().snapshot;
        let (workspace, dir) = (served.workspace(), served.directory("work"));
        // With what it knows of the clock, and without.
        let workspace = match round % 2 {
            0 => workspace,
            _ => workspace.with_cache(&cache, 1).unwrap(),
        };
        workspace.checkout(&base, &dir).await.unwrap();
        // At once, and as long as before: the clock may not have moved.
        fs::write(dir.join("f"), "b").unwrap();
        let taken = workspace.snapshot(&base, &dir, 1).await.unwrap();
        assert_ne!(taken.snapshot, base, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_change_in_a_large_file_sends_little() {
    let served = Served::start().await;
    let dir = served.directory("from");
    let mut content = crate::damage::noise(24 << 20);
    write(&dir, "large", &content);
    let workspace = served.workspace();
    let first = workspace.upload_dir(&dir).await.unwrap();
    assert!(first.effort.sent_bytes > 24 << 20);
    content.splice(5_000_000..5_000_000, *b"some words in the middle");
    write(&dir, "large", &content);
    let second = workspace.upload_dir(&dir).await.unwrap();
    assert!(second.effort.sent_bytes < 3 << 20, "{:?}", second.effort);
    let to = served.directory("to");
    served.workspace().checkout(&second.snapshot, &to).await.unwrap();
    assert_eq!(fs::read(to.join("large")).unwrap(), content);
}

/// What a task may do to a path.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, u8),
    Remove(usize),
    Folder(usize),
    Link(usize),
    Bits(usize, u32),
    Move(usize, usize),
}

const PATHS: [&str; 9] = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/f/g", "h/i"];

fn edit() -> impl Strategy<Value = Edit> {
    let path = || 0..PATHS.len();
    prop_oneof![
        4 => (path(), any::<u8>()).prop_map(|(path, byte)| Edit::Write(path, byte)),
        2 => path().prop_map(Edit::Remove),
        1 => path().prop_map(Edit::Folder),
        1 => path().prop_map(Edit::Link),
        1 => (path(), prop_oneof![Just(0o600), Just(0o755)])
            .prop_map(|(path, bits)| Edit::Bits(path, bits)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Move(from, to)),
    ]
}

/// Whatever is in the way of an edit makes it do nothing.
fn apply(dir: &Path, edit: &Edit) {
    let at = |number: &usize| dir.join(PATHS[*number]);
    let parent = |path: &Path| drop(fs::create_dir_all(path.parent().unwrap()));
    match edit {
        Edit::Write(path, byte) => {
            parent(&at(path));
            drop(fs::write(at(path), [*byte; 100]));
        }
        Edit::Remove(path) => {
            drop(fs::remove_file(at(path)));
            drop(fs::remove_dir_all(at(path)));
        }
        Edit::Folder(path) => drop(fs::create_dir_all(at(path))),
        Edit::Link(path) => {
            parent(&at(path));
            drop(std::os::unix::fs::symlink("a", at(path)));
        }
        Edit::Bits(path, bits) if at(path).is_file() => chmod(&at(path), *bits),
        Edit::Bits(..) => {}
        Edit::Move(from, to) => {
            parent(&at(to));
            drop(fs::rename(at(from), at(to)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A chain of tasks on two agents in turn, with their indexes and caches, leaves what a plain
    /// directory holds after the same edits.
    #[test]
    fn a_chain_of_edits_leaves_what_a_plain_copy_would(tasks in vec(vec(edit(), 0..6), 1..9)) {
        Runtime::new().unwrap().block_on(async {
            let served = Served::start().await;
            let plain = served.directory("plain");
            let agents = ["one", "two"].map(|name| {
                let cache = served.scratch.path().join(name);
                served.workspace().with_cache(&cache, 1 << 30).unwrap()
            });
            let mut last = v1::Snapshot::default();
            for (number, edits) in tasks.iter().enumerate() {
                let dir = served.directory(&format!("task-{number}"));
                let workspace = &agents[number / 2 % 2];
                workspace.checkout(&last, &dir).await.unwrap();
                edits.iter().for_each(|edit| { apply(&dir, edit); apply(&plain, edit); });
                last = workspace.snapshot(&last, &dir, number as i32).await.unwrap().snapshot;
                let to = served.directory(&format!("look-{number}"));
                served.workspace().checkout(&last, &to).await.unwrap();
                let without_times = |dir: &Path| {
                    let all = seen(dir).into_iter();
                    all.map(|(path, (mode, content, _))| (path, mode, content)).collect::<Vec<_>>()
                };
                assert_eq!(without_times(&to), without_times(&plain), "after task {number}");
            }
        });
    }
}
