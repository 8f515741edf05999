//! A large random graph: every task starts after all of its dependencies have ended.
//!
//! `POSTQ_SOAK=1` makes it 10,000 tasks; without it there are 2,000.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use postq_proto::v1::job;
use postq_tests::{Cluster, spec, successes};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

type Graph = BTreeMap<String, Vec<String>>;

/// Each task waits for up to four of the two hundred before it.
fn random_graph(tasks: usize, seed: u64) -> Graph {
    let mut random = StdRng::seed_from_u64(seed);
    let name = |n: usize| format!("t{n:05}");
    let mut graph = Graph::new();
    for n in 0..tasks {
        let count = random.random_range(0..=4.min(n));
        let before: BTreeSet<_> =
            (0..count).map(|_| name(random.random_range(n.saturating_sub(200)..n))).collect();
        graph.insert(name(n), before.into_iter().collect());
    }
    graph
}

fn document(graph: &Graph) -> Value {
    let task = |(name, depends): (&String, &Vec<String>)| {
        (name.clone(), json!({"command": "true", "depends": depends, "workspace": "NONE"}))
    };
    json!({"tasks": graph.iter().map(task).collect::<Map<_, _>>()})
}

#[tokio::test]
async fn every_task_of_a_random_graph_starts_after_all_it_depends_on_has_ended() {
    let tasks = if env::var_os("POSTQ_SOAK").is_some() { 10_000 } else { 2_000 };
    let seed = rand::rng().random();
    println!("a random graph of {tasks} tasks, seed {seed}");
    let graph = random_graph(tasks, seed);
    let cluster = Cluster::start(&[16, 16]).await;
    let started = Instant::now();
    let id = cluster.submit(&document(&graph)).await;
    let accepted = started.elapsed();
    let job = cluster.client().wait(id, Duration::from_secs(600)).await;
    println!("accepted in {accepted:.2?}, all of it in {:.2?}", started.elapsed());
    assert_eq!((job.state(), job.open_tasks), (job::State::Succeeded, 0));

    let history = cluster.database.history(id).await;
    let ran = successes(&history);
    assert_eq!((history.len(), ran.len()), (tasks, tasks));
    for (name, depends) in &graph {
        for before in depends {
            let (then, first) = (ran[name.as_str()], ran[before.as_str()]);
            assert!(first.finished_at <= then.started_at, "seed {seed}: {first:?} {then:?}");
        }
    }
}

/// How long it takes is a figure to report; that it is accepted, whole, is the promise.
#[tokio::test]
async fn a_job_of_very_many_tasks_is_accepted() {
    let tasks: usize = if env::var_os("POSTQ_SOAK").is_some() { 100_000 } else { 20_000 };
    let task = |n: usize| (format!("t{n:06}"), json!({"command": "true"}));
    let job = spec(&json!({"tasks": (0..tasks).map(task).collect::<Map<_, _>>()}));
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let started = Instant::now();
    let id = client.submit_spec(job, "").await.unwrap();
    println!("a job of {tasks} tasks is accepted in {:.2?}", started.elapsed());
    let query = format!("select count(*) from postq.task where job = '{id}' and state = 'ready'");
    assert_eq!(cluster.database.value::<i64>(&query).await, tasks as i64);
}
