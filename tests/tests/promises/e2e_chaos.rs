//! Many jobs while processes die: each task succeeds exactly once.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually};
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(240);
/// Between two kills: long enough to connect and run something.
const KILL_EVERY: Duration = Duration::from_millis(1500);
/// Who waits for tasks that were lost at the very end.
const OPEN_JOBS: &str = "select (select count(*) from postq.submission)
    + (select count(*) from postq.job where finished_at is null)";

async fn submit(cluster: &Cluster, count: usize, document: &Value) {
    let client = cluster.client();
    let submitted = stream::iter(0..count).map(|_| client.try_submit(document));
    let ids: Vec<_> = submitted.buffer_unordered(16).try_collect().await.unwrap();
    assert_eq!(ids.len(), count);
}

/// Calls `kill` again and again until no job is open; tells how often.
async fn while_jobs_run(cluster: &mut Cluster, mut kill: impl AsyncFnMut(&mut Cluster)) -> usize {
    let started = Instant::now();
    let mut kills = 0;
    while cluster.database.value::<i64>(OPEN_JOBS).await > 0 {
        assert!(started.elapsed() < LIMIT, "jobs are left after {LIMIT:?} and {kills} kills");
        tokio::time::sleep(KILL_EVERY).await;
        kill(cluster).await;
        kills += 1;
    }
    println!("all ended in {:.1?} with {kills} kills", started.elapsed());
    kills
}

/// So many tasks succeeded, once each; what else happened was lost or given back.
async fn check(cluster: &Cluster, tasks: i64) -> BTreeMap<String, i64> {
    let unsuccessful =
        "select coalesce(array_agg(distinct concat_ws(': ', j.state, j.reason, t.reason)), '{}')
        from postq.job j join postq.task t on t.job = j.id
        where j.state <> 'succeeded' and t.state <> 'succeeded'";
    assert_eq!(cluster.database.value::<Vec<String>>(unsuccessful).await, Vec::<String>::new());
    let counts: Vec<(String, i64)> =
        sqlx::query_as("select outcome::text, count(*) from postq.attempt group by 1 order by 1")
            .fetch_all(&cluster.database.pool)
            .await
            .unwrap();
    let counts: BTreeMap<_, _> = counts.into_iter().collect();
    println!("outcomes: {counts:?}");
    assert_eq!(counts["succeeded"], tasks);
    assert!(counts.keys().all(|it| ["succeeded", "lost", "released"].contains(&it.as_str())));
    let doubled = "select count(*) from (
        select from postq.attempt where outcome = 'succeeded' group by job, n having count(*) <> 1) d";
    assert_eq!(cluster.database.value::<i64>(doubled).await, 0);
    let left =
        "select (select count(*) from postq.open_attempt) + (select count(*) from postq.ready)";
    let is_empty = async || (cluster.database.value::<i64>(left).await == 0).then_some(());
    eventually("nothing is left open", PATIENCE, is_empty).await;
    counts
}

/// PQ29
#[tokio::test]
async fn a_thousand_jobs_end_once_each_while_agents_are_killed() {
    let mut cluster = Cluster::start(&[4, 4, 4, 4]).await;
    let document = json!({"tasks": {"a": {"command": "sleep 0.05", "workspace": "NONE"}}});
    submit(&cluster, 1000, &document).await;
    let kill = async |cluster: &mut Cluster| {
        let number = rand::rng().random_range(0..4);
        cluster.agent(number).restart().await;
    };
    let kills = while_jobs_run(&mut cluster, kill).await;
    assert!(kills >= 3, "too fast to prove anything");
    let counts = check(&cluster, 1000).await;
    assert!(counts.contains_key("lost"), "no kill hit a running task: {counts:?}");
}

#[tokio::test]
async fn graphs_end_once_each_while_coordinators_are_killed() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinators(2).await;
    for _ in 0..2 {
        cluster.add_agent(AgentSetup { slots: 4, ..AgentSetup::default() }).await;
    }
    cluster.wait_for_agents().await;
    let document = json!({"tasks": {
        "a": {"command": "sleep 0.05; echo a > f"},
        "b": {"depends": ["a"], "command": "cat f"},
        "c": {"depends": ["a"], "command": "sleep 0.02; echo c > g"},
        "d": {"depends": ["b", "c"], "command": "cat f g"},
    }});
    submit(&cluster, 100, &document).await;
    // By SQL as well, so that there are submissions to plan.
    for _ in 0..20 {
        cluster.database.submit(&document).await.unwrap();
    }
    let kill = async |cluster: &mut Cluster| {
        let number = rand::rng().random_range(0..2);
        cluster.coordinator(number).restart().await;
    };
    let kills = while_jobs_run(&mut cluster, kill).await;
    assert!(kills >= 3, "too fast to prove anything");
    let counts = check(&cluster, 4 * 120).await;
    // No agent died: what ran was adopted, but for what a crowded machine kept from it too long.
    let lost = counts.get("lost").copied().unwrap_or(0);
    assert!(lost < 24, "{counts:?}");
}
