//! What users of earlier queues look for first: see docs/features.md.

use std::{env, fs};

use postq_tests::Database;
use tokio::time::Instant;

use crate::{
    consumer::{consume, publish, state},
    house::root,
};

/// PQ12: every state is mapped to the words of the earlier system, and has a meaning.
#[tokio::test]
async fn every_state_has_a_word_of_the_earlier_system() {
    let database = Database::create().await;
    let document = fs::read_to_string(root().join("docs/features.md")).unwrap();
    let section = document.split("### States").nth(1).unwrap().split("\n## ").next().unwrap();
    for kind in ["state_of_job", "task_state"] {
        let query =
            format!("select array_agg(e::text) from unnest(enum_range(null::postq.{kind})) e");
        for state in database.value::<Vec<String>>(&query).await {
            assert!(section.contains(&format!("`{state}`")), "{kind} {state}");
        }
    }
}

/// DQ6: one statement takes a task, does its work and removes it; where the work fails, nothing has
/// happened.
#[tokio::test]
async fn one_statement_takes_a_task_does_its_work_and_ends_it() {
    let database = Database::create().await;
    database
        .execute(
            "create table done (n int check (n < 2));
             create function work(arguments jsonb) returns jsonb language sql
             as 'insert into done values ((arguments ->> 0)::int) returning to_jsonb(n)'",
        )
        .await;
    let statement = "select postq.ack(t.id, t.attempt, work(t.arguments)) from postq.consume(1) t";
    let good = publish(&database, "'h', '[1]'").await;
    database.execute(statement).await;
    assert_eq!(state(&database, good).await, "succeeded");
    let result = format!("select result from postq.tasks where job_id = '{good}'");
    assert_eq!(database.json(&result).await, 1);
    let bad = publish(&database, "'h', '[2]'").await;
    let mut session = database.session().await;
    assert!(session.try_execute(statement).await.is_err());
    // An error is told before its transaction has ended; the next word of the connection comes after.
    session.execute("select").await;
    assert_eq!(state(&database, bad).await, "queued");
    assert_eq!(database.value::<i64>("select count(*) from done").await, 1);
    assert_eq!(consume(&database.pool, "1").await[0].attempts, 1, "uncounted");
}

/// JQ37: a consumer renews the lease of each of very many short jobs, and goes on. `POSTQ_SOAK=1` makes it
/// 100,000 of them.
#[tokio::test]
async fn very_many_short_jobs_with_heartbeats_end_no_consumer_soak() {
    let count = if env::var_os("POSTQ_SOAK").is_some() { 100_000 } else { 1_000 };
    let database = Database::create().await;
    for _ in 0..count / 1_000 {
        let publish = "select count(*) from postq.publish_bulk(array(
            select row('h', null, null, null, null, null, null, null)::postq.bulk_job from generate_series(1, 1000)))";
        database.execute(publish).await;
    }
    let mut session = database.session().await;
    let backend: i32 = session.value("select pg_backend_pid()").await;
    let mut done = 0;
    while done < count {
        let taken = consume(&mut session.connection, "10").await;
        assert!(!taken.is_empty(), "{done} are done");
        for one in taken {
            session.execute(&format!("{}; {}", one.renew("60 s"), one.ack())).await;
            done += 1;
        }
    }
    assert_eq!(session.value::<i32>("select pg_backend_pid()").await, backend, "never broken");
    let ended =
        "select count(*) from postq.jobs where state = 'succeeded' and finished_at is not null";
    assert_eq!(database.value::<i64>(ended).await, count);
}

/// JQ32: a list costs a fraction of what its jobs cost one by one, in the same run.
#[tokio::test]
async fn a_list_of_jobs_costs_a_fraction_of_its_jobs_one_by_one() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let bulk = |count: i32| {
        format!(
            "select count(*) from postq.publish_bulk(array(select row('h', to_jsonb(n), null, null, null, null, null,
             null)::postq.bulk_job from generate_series(1, {count}) n))"
        )
    };
    session.execute(&bulk(100)).await;
    let start = Instant::now();
    for n in 0..500 {
        session.execute(&format!("select postq.publish('h', '{n}')")).await;
    }
    let single = start.elapsed() / 500;
    let start = Instant::now();
    session.execute(&bulk(5_000)).await;
    let listed = start.elapsed() / 5_000;
    println!("one by one {single:.2?} each, in a list {listed:.2?} each");
    assert!(listed * 2 < single, "one by one {single:?} each, in a list {listed:?} each");
}
