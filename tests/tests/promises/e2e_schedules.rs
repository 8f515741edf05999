//! Schedules whose jobs are not taken: they wait with a reason, and hold up no other one.

use std::time::Duration;

use postq_tests::{Cluster, PATIENCE, eventually};

/// Puts a schedule that fires each second, into a queue.
async fn put(cluster: &Cluster, name: &str, queue: &str) {
    let put = format!(
        r#"select postq.schedule('{name}', '{{"queue": "{queue}", "tasks": {{"a": {{"handler": "h"}}}}}}', every => '1 s')"#
    );
    cluster.database.execute(&put).await;
}

async fn fired(cluster: &Cluster, name: &str) -> i64 {
    let fired = format!("select fired from postq.schedules where name = '{name}'");
    cluster.database.value(&fired).await
}

async fn error(cluster: &Cluster, name: &str) -> Option<String> {
    cluster
        .database
        .value(&format!("select error from postq.schedules where name = '{name}'"))
        .await
}

#[tokio::test]
async fn a_schedule_waits_for_room_in_its_queue_says_so_and_goes_on() {
    let cluster = Cluster::start(&[]).await;
    cluster.database.execute("select postq.create_queue('small', '{\"max_jobs\": 1}')").await;
    put(&cluster, "full", "small").await;
    put(&cluster, "free", "large").await;
    let told = eventually("its error is told", PATIENCE, async || error(&cluster, "full").await);
    let told = told.await;
    assert!(told.contains("holds 1 jobs, which is its bound"), "{told}");
    let before = fired(&cluster, "free").await;
    eventually("the other one fires on", PATIENCE, async || {
        (fired(&cluster, "free").await >= before + 2).then_some(())
    })
    .await;
    assert_eq!(fired(&cluster, "full").await, 1, "and keeps its bound");
    let ack = "select postq.ack(id, attempt) from postq.consume(1, 'small')";
    cluster.database.execute(ack).await;
    eventually("it fires again", PATIENCE, async || {
        (fired(&cluster, "full").await == 2).then_some(())
    })
    .await;
}

/// A user's transaction that has taken the last place holds up the schedule of that queue for a moment,
/// and no other one.
#[tokio::test]
async fn no_schedule_waits_for_a_transaction_that_is_open_in_the_queue_of_another() {
    let cluster = Cluster::start(&[]).await;
    cluster.database.execute("select postq.create_queue('bounded', '{\"max_jobs\": 100}')").await;
    let mut user = cluster.database.session().await;
    user.execute("begin; select postq.publish('h', queue => 'bounded')").await;
    put(&cluster, "a held", "bounded").await;
    put(&cluster, "b free", "large").await;
    for round in 1..=3 {
        eventually("the other one fires", Duration::from_secs(20), async || {
            (fired(&cluster, "b free").await >= round).then_some(())
        })
        .await;
    }
    assert_eq!(fired(&cluster, "a held").await, 0);
    assert!(error(&cluster, "a held").await.is_some());
    user.execute("commit").await;
    eventually("it fires too", PATIENCE, async || {
        (fired(&cluster, "a held").await > 0).then_some(())
    })
    .await;
    assert_eq!(error(&cluster, "a held").await, None);
}
