//! What a set-up does to its database while there is nothing to do, and while a task takes long: hardly a
//! statement, no transaction that stays open. And it starts at once when something comes.

use std::{collections::BTreeSet, time::Duration};

use postq_tests::{Cluster, Database, PATIENCE, eventually};
use serde_json::json;
use sqlx::postgres::{PgListener, PgPoolOptions};

/// Waits until the coordinator has said so often that it lives, which is the clock of these tests; by one
/// statement, for those that count them.
async fn wait_for_beats(database: &Database, count: i64) {
    let beats = "(select sum(beat) from postq.coordinator)";
    let wait = format!(
        "set statement_timeout = '60 s';
         do $$ declare first bigint := {beats}; begin
             while {beats} < first + {count} loop perform pg_sleep(0.05); end loop; end $$"
    );
    database.session().await.execute(&wait).await;
}

async fn wait_for_sleep(database: &Database) {
    eventually("the coordinator sleeps", PATIENCE, async || {
        let sleeps = "select coalesce(bool_and(is_sleeping), false) from postq.coordinator";
        database.value::<bool>(sleeps).await.then_some(())
    })
    .await;
}

/// PQ38: an idle set-up asks the database a few times per beat, that is in two seconds, whatever the number of
/// its agents; one that looked every few milliseconds would ask hundreds of times.
#[tokio::test]
async fn an_idle_set_up_hardly_asks() {
    let cluster = Cluster::start(&[4, 4, 4]).await;
    let database = &cluster.database;
    wait_for_sleep(database).await;
    // Connections that fall idle tell what they counted up to ten seconds late.
    wait_for_beats(database, 6).await;
    let commits = "select xact_commit from pg_stat_database where datname = current_database()";
    let before: i64 = database.value(commits).await;
    wait_for_beats(database, 7).await;
    let theirs = database.value::<i64>(commits).await - before;
    println!("{theirs} transactions in seven beats");
    assert!(theirs < 7 * 10, "{theirs} transactions in seven beats");
}

/// JQ7, PQ38: a job that comes while everybody sleeps is told of by a notification, and starts long before
/// anybody would have looked by himself.
#[tokio::test]
async fn a_job_that_comes_while_all_sleep_starts_at_once() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    let pool =
        PgPoolOptions::new().max_connections(1).connect_lazy_with(database.options().clone());
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("postq_hint").await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..9 {
        wait_for_sleep(database).await;
        let id = database.submit(&json!({"tasks": {"a": {"command": "true"}}})).await.unwrap();
        let heard = tokio::time::timeout(PATIENCE, async {
            loop {
                let heard = listener.recv().await.unwrap();
                if heard.payload().starts_with("ready:") {
                    return;
                }
            }
        });
        heard.await.expect("a hint for those who sleep");
        cluster.client().wait(id, PATIENCE).await;
        let wait = format!(
            "select extract(epoch from started_at - created_at)::float8 from postq.job where id = '{id}'"
        );
        waits.push(database.value::<f64>(&wait).await);
    }
    waits.sort_by(f64::total_cmp);
    assert!(waits[4] < 1.0, "half of them waited longer than a beat takes: {waits:?}");
}

/// Transactions that are open now, by their connection and their start.
async fn open_transactions(database: &Database) -> BTreeSet<String> {
    let open = "select coalesce(array_agg(pid || ' ' || xact_start || ' ' || query), '{}') from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend'
          and xact_start is not null and pid <> pg_backend_pid()";
    database.value::<Vec<String>>(open).await.into_iter().collect()
}

/// DQ27: while a task runs no transaction stays open, so vacuum goes on; and the connections say whose they
/// are (DQ30).
#[tokio::test]
async fn a_long_task_keeps_no_transaction_open() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    let gate = cluster.path("gate");
    let command = format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    let task = "select postq.publish('long', timeout => '1 hour')";
    database.execute(task).await;
    eventually("both are at work", PATIENCE, async || {
        database.execute("select * from postq.consume(1)").await;
        let running: i64 = database.value("select count(*) from postq.running").await;
        (running == 2).then_some(())
    })
    .await;
    let first = open_transactions(database).await;
    wait_for_beats(database, 1).await;
    let second = open_transactions(database).await;
    let still: Vec<_> = first.intersection(&second).collect();
    assert!(still.is_empty(), "{still:?}");
    database
        .execute("create table dead (n int); insert into dead select generate_series(1, 10000); delete from dead")
        .await;
    eventually("vacuum frees what is dead", Duration::from_secs(20), async || {
        database.session().await.execute("vacuum dead").await;
        (database.value::<i64>("select pg_relation_size('dead')").await == 0).then_some(())
    })
    .await;
    let names: Vec<String> = database
        .value(
            "select array_agg(distinct application_name) from pg_stat_activity
             where datname = current_database() and backend_type = 'client backend'",
        )
        .await;
    assert!(names.contains(&"postq-coordinator".to_owned()), "{names:?}");
    cluster.touch("gate");
    cluster.client().wait(id, PATIENCE).await;
}
