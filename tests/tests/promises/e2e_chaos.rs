//! Many jobs while agents die: each task succeeds exactly once.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use postq_tests::{Cluster, eventually};
use rand::RngExt;
use serde_json::json;
use tokio::time::Instant;

const JOBS: usize = 1000;
const LIMIT: Duration = Duration::from_secs(240);
/// Between two kills: long enough to connect and run something.
const KILL_EVERY: Duration = Duration::from_millis(1500);

/// PQ29
#[tokio::test]
async fn a_thousand_jobs_end_once_each_while_agents_are_killed() {
    let mut cluster = Cluster::start(&[4, 4, 4, 4]).await;
    let client = cluster.client();
    let document = json!({"tasks": {"a": {"command": "sleep 0.05", "workspace": "NONE"}}});
    let submitted = stream::iter(0..JOBS)
        .map(|_| client.try_submit(&document))
        .buffer_unordered(16)
        .try_collect::<Vec<_>>();
    let ids = submitted.await.unwrap();
    assert_eq!(ids.len(), JOBS);

    let started = Instant::now();
    let mut kills = 0;
    let open = "select count(*) from postq.job where finished_at is null";
    while cluster.database.value::<i64>(open).await > 0 {
        assert!(started.elapsed() < LIMIT, "jobs are left after {LIMIT:?} and {kills} kills");
        tokio::time::sleep(KILL_EVERY).await;
        let number = rand::rng().random_range(0..4);
        cluster.agent(number).restart().await;
        kills += 1;
    }
    println!("{JOBS} jobs in {:?} with {kills} kills", started.elapsed());
    assert!(kills >= 3, "too fast to prove anything");
    check(&cluster).await;
}

async fn check(cluster: &Cluster) {
    let states: Vec<String> =
        cluster.database.value("select array_agg(distinct j.state::text) from postq.job j").await;
    assert_eq!(states, ["succeeded"]);
    let counts: Vec<(String, i64)> =
        sqlx::query_as("select outcome::text, count(*) from postq.attempt group by 1 order by 1")
            .fetch_all(&cluster.database.pool)
            .await
            .unwrap();
    let counts: BTreeMap<_, _> = counts.into_iter().collect();
    println!("outcomes: {counts:?}");
    assert_eq!(counts["succeeded"], JOBS as i64);
    assert!(counts.contains_key("lost"), "no kill hit a running task: {counts:?}");
    assert!(counts.keys().all(|it| ["succeeded", "lost", "released"].contains(&it.as_str())));
    let doubled: i64 = cluster
        .database
        .value(
            "select count(*) from (select from postq.attempt where outcome = 'succeeded'
             group by job, n having count(*) <> 1) d",
        )
        .await;
    assert_eq!(doubled, 0);
    let none_is_left = async || {
        let left =
            "select (select count(*) from postq.open_attempt) + (select count(*) from postq.ready)";
        (cluster.database.value::<i64>(left).await == 0).then_some(())
    };
    eventually("nothing is left open", Duration::from_secs(30), none_is_left).await;
}
