//! Random histories on agents that keep directories: tasks of random graphs edit real files, attempts
//! fail and are tried again, directories are handed over, mended, cloned and dropped. What each attempt
//! finds, and what a task leaves, is what an agent finds and leaves that keeps nothing and reads everything.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use postq_agent::workspace::Workspace;
use postq_common::{merge::OnConflict, tree::Snapshot};
use postq_coordinator::workspace::{Join, MergeError};
use postq_proto::v1;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{
    damage::noise,
    files::{Served, chmod, message, seen, snapshot},
};

/// What a task does to one path; what cannot be done there is not done.
#[derive(Clone, Debug)]
enum Edit {
    Write(String, usize),
    /// Within a file, at that share of it; the time stays as it was.
    Patch(String, u8),
    Append(String),
    Delete(String),
    Move(String, String),
    Folder(String),
    Link(String),
    Chmod(String, u32),
    Touch(String, u32),
}

#[derive(Clone, Debug)]
struct Task {
    depends: Vec<usize>,
    agent: Index,
    edits: Vec<Edit>,
    /// The attempts before it that did not count.
    failed: Vec<Failed>,
}

#[derive(Clone, Debug)]
struct Failed {
    agent: Index,
    edits: Vec<Edit>,
    /// Its command succeeded, and its files were kept; its report came too late.
    is_kept: bool,
    /// Its directory is gone when the next one starts.
    is_gone: bool,
}

fn apply(dir: &Path, edit: &Edit) {
    // Random edits collide; whatever became of them is what the task did.
    let _ = match edit {
        Edit::Write(path, size) => {
            let path = dir.join(path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(&path, noise(size + 8).split_off(size % 8)))
        }
        Edit::Patch(path, share) => patch(&dir.join(path), *share),
        Edit::Append(path) => fs::read(dir.join(path))
            .and_then(|old| fs::write(dir.join(path), [&old[..], b"more"].concat())),
        Edit::Delete(path) => {
            let path = dir.join(path);
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path))
        }
        Edit::Move(from, to) => fs::rename(dir.join(from), dir.join(to)),
        Edit::Folder(path) => fs::create_dir_all(dir.join(path)),
        Edit::Link(path) => symlink("a/b", dir.join(path)),
        Edit::Chmod(path, bits) => {
            let path = dir.join(path);
            match fs::symlink_metadata(&path) {
                Ok(look) if !look.is_symlink() => {
                    // A directory stays one that this test can remove.
                    chmod(&path, if look.is_dir() { bits | 0o700 } else { *bits });
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        Edit::Touch(path, seconds) => {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs((*seconds).into());
            File::open(dir.join(path)).and_then(|file| file.set_modified(time))
        }
    };
}

fn patch(path: &Path, share: u8) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let look = file.metadata()?;
    file.write_all_at(b"!", look.size().saturating_sub(1) * u64::from(share) / 255)?;
    file.set_modified(look.modified()?)
}

fn path() -> impl Strategy<Value = String> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    vec(name(), 1..=3).prop_map(|names| names.join("/"))
}

fn edit() -> impl Strategy<Value = Edit> {
    // The last one is in chunks.
    let size = prop_oneof![4 => 0..5000_usize, 1 => 2_500_000..3_000_000_usize];
    prop_oneof![
        6 => (path(), size).prop_map(|(path, size)| Edit::Write(path, size)),
        3 => (path(), any::<u8>()).prop_map(|(path, share)| Edit::Patch(path, share)),
        1 => path().prop_map(Edit::Append),
        3 => path().prop_map(Edit::Delete),
        2 => (path(), path()).prop_map(|(from, to)| Edit::Move(from, to)),
        1 => path().prop_map(Edit::Folder),
        1 => path().prop_map(Edit::Link),
        1 => (path(), prop_oneof![Just(0o600), Just(0o755), Just(0o444)])
            .prop_map(|(path, bits)| Edit::Chmod(path, bits)),
        1 => (path(), any::<u32>()).prop_map(|(path, seconds)| Edit::Touch(path, seconds)),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let edits = || vec(edit(), 0..=5);
    let failed = (any::<Index>(), edits(), any::<bool>(), any::<bool>());
    let failed = failed.prop_map(|(agent, edits, is_kept, is_gone)| Failed {
        agent,
        edits,
        is_kept,
        is_gone,
    });
    let failed = prop_oneof![4 => Just(Vec::new()), 1 => vec(failed, 1..=2)];
    let task = (vec(any::<Index>(), 0..=2), any::<Index>(), edits(), failed);
    vec(task, 3..=9).prop_map(|drafts| {
        let numbered = drafts.into_iter().enumerate();
        let task = |(number, (depends, agent, edits, failed)): (usize, (Vec<Index>, _, _, _))| {
            let mut depends: Vec<usize> = match number {
                0 => Vec::new(),
                _ => depends.iter().map(|index| index.index(number)).collect(),
            };
            depends.sort_unstable();
            depends.dedup();
            Task { depends, agent, edits, failed }
        };
        numbered.map(task).collect()
    })
}

/// What `task` starts from; none where what its parents left conflicts.
async fn input(
    served: &Served,
    tasks: &[Task],
    left: &[Option<Snapshot>],
    task: usize,
) -> Option<Snapshot> {
    let parents: Vec<Snapshot> = tasks[task].depends.iter().filter_map(|at| left[*at]).collect();
    if parents.is_empty() {
        return Some(Snapshot::default());
    }
    let graph: Vec<Vec<usize>> = tasks.iter().map(|task| task.depends.clone()).collect();
    let join = Join {
        job: Uuid::nil(),
        task: task as i32,
        parents,
        on_conflict: OnConflict::Fail,
        is_ancestor: Arc::new(move |a, b| precedes(&graph, a as usize, b as usize)),
    };
    match served.joins.merge(join).await {
        Ok(merged) => Some(merged),
        Err(MergeError::Conflict(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

fn precedes(graph: &[Vec<usize>], a: usize, b: usize) -> bool {
    graph[b].iter().any(|parent| *parent == a || precedes(graph, a, *parent))
}

async fn play(tasks: Vec<Task>) {
    let served = Served::start().await;
    // One that keeps everything, one that soon drops what it keeps.
    let agents = [("roomy", 1 << 30), ("narrow", 4_000_000)].map(|(name, bytes)| {
        served.workspace().with_cache(&served.scratch.path().join(name), bytes).unwrap()
    });
    let mut left: Vec<Option<Snapshot>> = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        let Some(input) = input(&served, &tasks, &left, number).await else {
            left.push(None);
            continue;
        };
        let input = message(&input);
        for (at, failed) in task.failed.iter().enumerate() {
            let agent = &agents[failed.agent.index(2)];
            fail(&served, agent, &format!("{number}-{at}"), &input, failed).await;
        }
        let agent = &agents[task.agent.index(2)];
        left.push(Some(run(&served, agent, number, &input, &task.edits).await));
    }
}

/// One attempt of which nothing is left.
async fn fail(
    served: &Served,
    agent: &Workspace,
    name: &str,
    input: &v1::Snapshot,
    failed: &Failed,
) {
    let (dir, plain) = checked_out(served, agent, name, input).await;
    failed.edits.iter().for_each(|edit| apply(&dir, edit));
    if failed.is_kept {
        // The number is the task's; whoever runs next writes under the same.
        let task = name.split('-').next().unwrap().parse().unwrap();
        agent.snapshot(input, &dir, task).await.unwrap();
    }
    // What was kept may have moved to the directories that its agent keeps.
    if failed.is_gone && dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::remove_dir_all(&plain).unwrap();
}

/// What an attempt finds, and the same from an agent that keeps nothing.
async fn checked_out(
    served: &Served,
    agent: &Workspace,
    name: &str,
    input: &v1::Snapshot,
) -> (PathBuf, PathBuf) {
    let dir = served.directory(&format!("dir-{name}"));
    let plain = served.directory(&format!("plain-{name}"));
    agent.checkout(input, &dir).await.unwrap();
    served.workspace().checkout(input, &plain).await.unwrap();
    assert_eq!(seen(&dir), seen(&plain), "what attempt {name} finds");
    (dir, plain)
}

/// One attempt that succeeds, compared with an agent that keeps nothing.
async fn run(
    served: &Served,
    agent: &Workspace,
    number: usize,
    input: &v1::Snapshot,
    edits: &[Edit],
) -> Snapshot {
    let (dir, _) = checked_out(served, agent, &number.to_string(), input).await;
    edits.iter().for_each(|edit| apply(&dir, edit));
    let read = served.workspace().snapshot(input, &dir, number as i32).await.unwrap();
    let taken = agent.snapshot(input, &dir, number as i32).await.unwrap();
    assert_eq!(taken.snapshot, read.snapshot, "what task {number} leaves");
    snapshot(&taken.snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn agents_that_keep_directories_find_and_leave_what_others_do(tasks in tasks()) {
        Runtime::new().unwrap().block_on(play(tasks));
    }
}
