//! An agent fetches what comes next while the last one still runs; and a guess that was wrong, or could
//! not be fetched, hurts nobody.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use postq_agent::workspace::{Taken, Workspace};
use postq_proto::v1::{Effort, Job, job};
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(90);
const SIZE: usize = 3 << 20;

/// A coordinator, and agents of one slot with that label and those variables.
async fn cluster(agents: &[(&str, &[(&str, &str)])]) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.environment.push(("POSTQ_LOG".into(), "info,postq_agent=debug".into()));
    cluster.add_coordinator(&[]).await;
    for (label, variables) in agents {
        add_agent(&mut cluster, label, variables).await;
    }
    cluster
}

async fn add_agent(cluster: &mut Cluster, label: &str, variables: &[(&str, &str)]) {
    let label = ("POSTQ_LABELS", &*format!("{label}=yes"));
    let all = variables.iter().copied().chain([label]);
    let environment = all.map(|(name, value)| (name.to_owned(), value.into())).collect();
    cluster.add_agent(AgentSetup { slots: 1, environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
}

/// Files that nobody has seen before.
fn files(size: usize) -> TempDir {
    let from = tempfile::tempdir().unwrap();
    let ids = std::iter::repeat_with(Uuid::new_v4).flat_map(Uuid::into_bytes);
    fs::write(from.path().join("large"), ids.take(size).collect::<Vec<u8>>()).unwrap();
    from
}

async fn upload(cluster: &Cluster, from: &TempDir) -> Taken {
    Workspace::over(cluster.client().channel()).upload_dir(from.path()).await.unwrap()
}

fn task(label: &str, command: &str) -> Value {
    json!({"a": {"command": command, "requires": [{"label": label, "exists": true}]}})
}

/// A task that fills the agent with that label until the file `go` is made.
async fn occupy(cluster: &Cluster, label: &str) -> Uuid {
    let (up, go) = (cluster.path(&format!("up-{label}")), cluster.path("go"));
    let command =
        format!("echo up > {}; until [ -e {} ]; do sleep 0.05; done", up.display(), go.display());
    let id = cluster.submit(&json!({"tasks": task(label, &command)})).await;
    cluster.wait_for_file(&format!("up-{label}")).await;
    id
}

/// A task that waits for the agent with that label, and starts from `input`.
async fn queue(cluster: &Cluster, label: &str, input: &str) -> Uuid {
    cluster.submit(&json!({"input": input, "tasks": task(label, "stat -c %s large")})).await
}

/// What an agent, counted from 1, keeps for its next tasks.
fn kept(cluster: &Cluster, agent: usize) -> Vec<PathBuf> {
    let cache = fs::read_dir(cluster.path(&format!("agent-{agent}/cache"))).unwrap();
    let whole = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().parse::<u64>().is_ok();
    cache.map(|entry| entry.unwrap().path()).filter(whole).collect()
}

async fn is_fetched(cluster: &Cluster, agent: usize) {
    let look =
        async || kept(cluster, agent).iter().any(|it| it.join("large").exists()).then_some(());
    eventually("the files are fetched ahead", PATIENCE, look).await;
}

fn effort(job: &Job) -> Effort {
    assert_eq!((job.state(), job.tasks["a"].attempts), (job::State::Succeeded, 1), "{job:#?}");
    assert_eq!(job.tasks["a"].results, format!("{SIZE}\n"));
    job.tasks["a"].attempt.clone().unwrap().effort.unwrap()
}

#[tokio::test]
async fn the_files_of_what_comes_next_are_fetched_while_the_last_one_runs() {
    let cluster = cluster(&[("ahead", &[]), ("late", &[("POSTQ_PREFETCH", "false")])]).await;
    let mut jobs = Vec::new();
    for label in ["late", "ahead"] {
        occupy(&cluster, label).await;
        let input = upload(&cluster, &files(SIZE)).await.digest;
        jobs.push(queue(&cluster, label, &input).await);
    }
    is_fetched(&cluster, 1).await;
    // It was full before the other one.
    assert!(kept(&cluster, 2).is_empty());
    cluster.touch("go");
    let late = effort(&cluster.client().wait(jobs[0], LIMIT).await);
    assert!(late.received_bytes >= SIZE as i64, "{late:?}");
    let ahead = effort(&cluster.client().wait(jobs[1], LIMIT).await);
    assert_eq!((ahead.received_bytes, ahead.local_bytes), (0, SIZE as i64), "{ahead:?}");
}

#[tokio::test]
async fn what_the_job_says_about_conflicts_counts_for_what_is_fetched_ahead() {
    let cluster = cluster(&[("ahead", &[]), ("maker", &[])]).await;
    occupy(&cluster, "ahead").await;
    let make = |name: &str| {
        let command = format!("echo {name} > by; head -c {SIZE} /dev/urandom > large");
        json!({"command": command, "requires": [{"label": "maker", "exists": true}]})
    };
    let mut tasks = task("ahead", "grep -q two by && stat -c %s large");
    tasks["a"]["depends"] = json!(["one", "two"]);
    (tasks["one"], tasks["two"]) = (make("one"), make("two"));
    let job = json!({"on_conflict": "PREFER_LAST_DEPENDENCY", "tasks": tasks});
    let id = cluster.submit(&job).await;
    is_fetched(&cluster, 1).await;
    cluster.touch("go");
    assert_eq!(effort(&cluster.client().wait(id, LIMIT).await).received_bytes, 0);
}

#[tokio::test]
async fn a_task_goes_to_whoever_is_free_first_whoever_has_its_files() {
    let mut cluster = cluster(&[("any", &[])]).await;
    let first = occupy(&cluster, "any").await;
    let input = upload(&cluster, &files(SIZE)).await.digest;
    let next = queue(&cluster, "any", &input).await;
    is_fetched(&cluster, 1).await;
    add_agent(&mut cluster, "any", &[]).await;
    let job = cluster.client().wait(next, LIMIT).await;
    assert_eq!(job.tasks["a"].attempt.as_ref().unwrap().agent, "agent-2");
    assert!(effort(&job).received_bytes >= SIZE as i64);
    cluster.touch("go");
    let job = cluster.client().wait(first, LIMIT).await;
    assert_eq!((job.state(), job.tasks["a"].attempts), (job::State::Succeeded, 1));
    // It has them all the same.
    cluster.agent(1).kill().await;
    let again = queue(&cluster, "any", &input).await;
    assert_eq!(effort(&cluster.client().wait(again, LIMIT).await).received_bytes, 0);
}

#[tokio::test]
async fn files_that_cannot_be_fetched_ahead_cost_nothing() {
    let mut cluster = cluster(&[("any", &[])]).await;
    occupy(&cluster, "any").await;
    let from = files(SIZE);
    let input = upload(&cluster, &from).await.digest;
    cluster.database.execute("select postq.pause('default')").await;
    let id = queue(&cluster, "any", &input).await;
    fs::remove_dir_all(cluster.path("store/packs")).unwrap();
    cluster.database.execute("select postq.resume('default')").await;
    let agent = cluster.agent(0);
    let is_tried = async || agent.log().contains("files are not fetched ahead").then_some(());
    eventually("it is tried", PATIENCE, is_tried).await;
    upload(&cluster, &from).await;
    cluster.touch("go");
    assert!(effort(&cluster.client().wait(id, LIMIT).await).received_bytes >= SIZE as i64);
}

/// How many directories are there, whole or not.
fn places(cache: &Path) -> usize {
    fs::read_dir(cache).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_what_is_being_fetched_ahead_waits_for_it_and_anything_else_ends_it() {
    let cluster = cluster(&[]).await;
    let wanted = upload(&cluster, &files(48 << 20)).await.snapshot;
    let other = upload(&cluster, &files(48 << 20)).await.snapshot;
    let home = tempfile::tempdir().unwrap();
    let [cache, first, second] = ["cache", "first", "second"].map(|name| home.path().join(name));
    [&first, &second].iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let files = Workspace::over(cluster.client().channel()).with_cache(&cache, 1 << 30).unwrap();

    let begun = async || (places(&cache) > 0).then_some(());
    let needs = async {
        eventually("it has begun", PATIENCE, begun).await;
        files.checkout(&wanted, &first).await.unwrap();
    };
    let (ahead, ()) = tokio::join!(files.prefetch(&wanted), needs);
    ahead.unwrap();
    assert_eq!(files.effort_of(&first).unwrap().received_bytes, 0, "it came once");
    assert_eq!(places(&cache), 0, "it was handed over");

    let needs = async {
        eventually("it has begun", PATIENCE, begun).await;
        files.prefetch(&wanted).await.unwrap();
        files.checkout(&wanted, &second).await.unwrap();
    };
    let (ahead, ()) = tokio::join!(files.prefetch(&other), needs);
    ahead.unwrap();
    let left = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("ahead")).collect();
    assert!(left.is_empty(), "what is not whole goes: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_most_of_the_cache_is_not_fetched_ahead() {
    let cluster = cluster(&[]).await;
    let snapshot = upload(&cluster, &files(SIZE)).await.snapshot;
    let home = tempfile::tempdir().unwrap();
    let files = Workspace::over(cluster.client().channel());
    let small = files.clone().with_cache(&home.path().join("small"), SIZE as u64).unwrap();
    small.prefetch(&snapshot).await.unwrap();
    assert_eq!(places(&home.path().join("small")), 0);
    let large = files.with_cache(&home.path().join("large"), 3 * SIZE as u64).unwrap();
    large.prefetch(&snapshot).await.unwrap();
    assert_eq!(places(&home.path().join("large")), 1);
    let dir = home.path().join("dir");
    fs::create_dir(&dir).unwrap();
    large.checkout(&snapshot, &dir).await.unwrap();
    assert_eq!(large.effort_of(&dir).unwrap().received_bytes, 0);
    assert_eq!(fs::metadata(dir.join("large")).unwrap().len(), SIZE as u64);
}
