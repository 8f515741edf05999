//! Agents, guards and coordinators are killed at random, while tasks run that hide what they start:
//! after each kill everything runs again, and nothing besides.
//!
//! `POSTQ_SOAK=1` makes it 200 kills; without it there are 12.

use std::{env, ffi::OsString, fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use postq_proto::v1::task;
use postq_tests::{
    AgentSetup, Cluster, Database, IMAGE, docker, eventually, make_image, processes_with,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A dead agent's tasks begin elsewhere within 10 s.
const BACK: Duration = Duration::from_secs(30);
/// Shell tasks, and the processes of each.
const SHELLS: usize = 5;
const FAMILY: usize = 3;

/// A process in the foreground, a daemon, and a daemon without a word of whose it is. None obeys.
fn family(cluster: &Cluster, task: &str) -> String {
    format!(
        "trap '' TERM; echo $PPID > {guard}; \
         (setsid tail -f {held} > /dev/null 2>&1 &); \
         (setsid env -i tail -f {held} > /dev/null 2>&1 &); \
         tail -f {held}",
        held = cluster.path("held").display(),
        guard = cluster.path(&format!("guard-{task}")).display(),
    )
}

fn document(cluster: &Cluster) -> Value {
    let forever = json!({"max_attempts": -1, "backoff": "0.1s", "max_backoff": "0.1s"});
    let mut tasks: Map<String, Value> = (0..SHELLS)
        .map(|n| format!("t{n}"))
        .map(|name| (name.clone(), json!({"command": family(cluster, &name)})))
        .collect();
    tasks.insert("c".into(), json!({"image": IMAGE, "command": "sleep 6000"}));
    for task in tasks.values_mut() {
        task["retry"] = forever.clone();
        task["crash_limit"] = 1000.into();
        task["grace"] = "0.1s".into();
    }
    json!({"tasks": tasks})
}

/// Two agents, of which one finds no cgroups (where the test may see to that).
async fn cluster() -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let blind = "umount -l -a -t cgroup2; exec \"$0\" \"$@\"";
    let launcher: Vec<OsString> = match geteuid().is_root() {
        true => ["unshare", "--mount", "sh", "-c", blind].map(Into::into).into(),
        false => Vec::new(),
    };
    for launcher in [Vec::new(), launcher] {
        let setup =
            AgentSetup { slots: 4, executors: "shell,docker", launcher, ..Default::default() };
        cluster.add_agent(setup).await;
    }
    cluster.wait_for_agents().await;
    cluster
}

fn containers(id: Uuid) -> usize {
    docker(&["ps", "--all", "--quiet", "--filter", &format!("label=postq.job={id}")])
        .lines()
        .count()
}

/// Every task runs, once, and nothing else.
async fn all_is_well(cluster: &Cluster, id: Uuid) {
    eventually("every task runs once and nothing else does", BACK, async || {
        let there = processes_with(&cluster.path("held"));
        let tails = there.iter().filter(|line| line.starts_with("tail ")).count();
        if (tails, containers(id)) != (SHELLS * FAMILY, 1) {
            return None;
        }
        let job = cluster.client().try_get(id).await.ok()?;
        let runs = job.tasks.values().all(|task| task.state() == task::State::Running);
        runs.then_some(())
    })
    .await;
}

/// Whether a guard is there to be killed. One whose agent was killed just now ends its task; were it
/// killed at that, nobody would know of a daemon without a word of whose it is (but by its cgroup).
fn has_agent(guard: i32) -> bool {
    let read = |pid: &str, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let parent = || {
        let status = read(&guard.to_string(), "status")?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().to_owned();
        read(&parent, "comm")
    };
    parent().is_some_and(|name| name.trim() == "postq-agent")
}

/// Whether somebody was killed.
async fn kill_somebody(cluster: &mut Cluster, random: &mut StdRng) -> bool {
    match random.random_range(0..10) {
        0..4 => {
            let agent = random.random_range(0..2);
            cluster.agent(agent).restart().await;
        }
        4..9 => {
            let path = cluster.path(&format!("guard-t{}", random.random_range(0..SHELLS)));
            let read = || fs::read_to_string(&path).unwrap();
            let guard = read();
            let pid = guard.trim().parse().unwrap();
            if !has_agent(pid) {
                return false;
            }
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a guard of a task that runs");
            let next = async || (read() != guard).then_some(());
            eventually("the task has another guard", BACK, next).await;
        }
        _ => {
            cluster.coordinator(0).restart().await;
            cluster.wait_until_ready(0).await;
        }
    }
    true
}

#[tokio::test]
async fn nothing_is_left_of_tasks_whose_agents_and_guards_are_killed_at_random() {
    make_image();
    let kills = if env::var_os("POSTQ_SOAK").is_some() { 200 } else { 12 };
    let seed = rand::rng().random();
    println!("{kills} kills, seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = cluster().await;
    cluster.touch("held");
    let id = cluster.submit(&document(&cluster)).await;
    all_is_well(&cluster, id).await;
    let mut killed = 0;
    while killed < kills {
        killed += usize::from(kill_somebody(&mut cluster, &mut random).await);
        all_is_well(&cluster, id).await;
    }
    cluster.client().cancel(id, "enough").await;
    cluster.client().wait(id, BACK).await;
    assert_eq!((cluster.processes_with("held"), containers(id)), (Vec::new(), 0));
}
