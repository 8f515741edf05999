//! Limits and keys while several coordinators and consumers are at it at once, and beside transactions
//! that stay open.

use std::sync::Arc;

use postq_tests::{Database, End, Graph, Worker, finish_on};
use serde_json::json;
use tokio::sync::Barrier;

use crate::consumer::{consume, publish, take_on};

/// Claims and finishes until there is nothing left; tells the most it has seen running.
async fn work(database: Arc<Database>, worker: Worker, start: Arc<Barrier>) -> i64 {
    let mut session = database.session().await;
    let mut most = 0;
    start.wait().await;
    loop {
        let claimed = worker.claim_on(&mut session.connection, 2).await.unwrap();
        most = most.max(session.value("select count(*) from postq.open_attempt").await);
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        for one in consume(&mut session.connection, "2, 'narrow'").await {
            most = most.max(session.value("select count(*) from postq.open_attempt").await);
            session.execute(&one.ack()).await;
        }
        if session.value::<i64>("select count(*) from postq.ready").await == 0 {
            return most;
        }
    }
}

/// PQ9: whoever takes tasks, by claim or by consume, together they never have more than the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_is_exact_whoever_takes_at_once() {
    let database = Arc::new(Database::create().await);
    database.execute("select postq.create_queue('narrow', '{\"max_running\": 3}')").await;
    for n in 0..150 {
        publish(&database, &format!("'mail{}', queue => 'narrow'", n % 2)).await;
        Graph::of(&[("a", &[])]).queue("narrow").admit(&database).await;
    }
    let start = Arc::new(Barrier::new(4));
    let mut hands = Vec::new();
    for _ in 0..4 {
        let worker = Worker::connect(&database).await;
        hands.push(tokio::spawn(work(Arc::clone(&database), worker, Arc::clone(&start))));
    }
    let mut most = 0;
    for hand in hands {
        most = most.max(hand.await.unwrap());
    }
    assert!((2..=3).contains(&most), "{most} at once");
    let open = "select count(*) from postq.job where finished_at is null";
    assert_eq!(database.value::<i64>(open).await, 0);
    assert_eq!(database.value::<i64>("select count(*) from postq.slot where is_taken").await, 0);
}

/// A consumer that holds its transaction open has its place and its key, and nobody waits for it.
#[tokio::test]
async fn an_open_consumer_keeps_its_own_places_and_no_others() {
    let database = Database::create().await;
    database.execute("select postq.create_queue('narrow', '{\"max_running\": 2}')").await;
    let keyed = json!({"queue": "narrow", "tasks": {"a": {"handler": "x", "concurrency": {"key": "k", "limit": 2}}}});
    for _ in 0..5 {
        database.submit(&keyed).await.unwrap();
    }
    // The key has been in use.
    database.execute("select postq.ack(id, attempt) from postq.consume(1, 'narrow')").await;
    let mut holder = database.session().await;
    holder.execute("begin").await;
    let held = take_on(&mut holder, "1, 'narrow'").await;
    let mut other = database.session().await;
    other.execute("set statement_timeout = '1s'").await;
    let taken = consume(&mut other.connection, "9, 'narrow'").await;
    assert_eq!(taken.len(), 1, "the other place");
    for statement in [
        "select postq.grant_parked('', 100)".to_owned(),
        "select postq.sweep()".to_owned(),
        format!("select postq.submit('{keyed}')"),
        taken[0].ack(),
        "select postq.alter_queue('narrow', '{\"max_running\": 1}')".to_owned(),
        "select postq.pause('narrow'); select postq.resume('narrow')".to_owned(),
        format!("select postq.cancel('{}'); select postq.apply_inbox(0, 10)", held.id),
        "select * from postq.queue_stats".to_owned(),
    ] {
        other.execute(&statement).await;
    }
    assert!(consume(&mut other.connection, "9, 'narrow'").await.is_empty(), "one is its limit now");
    holder.execute("rollback").await;
    database.execute("select postq.apply_inbox(0, 10)").await;
    assert_eq!(consume(&mut other.connection, "9, 'narrow'").await.len(), 1);
}

/// Slots of a rate that nobody needed are forgotten; making them anew waits for nobody who has another one at hand.
#[tokio::test]
async fn nobody_waits_for_an_open_consumer_to_make_more_slots() {
    let database = Database::create().await;
    let rated = json!({"tasks": {"a": {"handler": "x", "rate": {"key": "r", "limit": 2, "period": "10s"}}}});
    for _ in 0..3 {
        database.submit(&rated).await.unwrap();
    }
    database.execute("select postq.ack(id, attempt) from postq.consume(1)").await;
    database.execute("delete from postq.slot where not is_taken and free_at is null").await;
    database.advance_clock("11 s").await;
    let mut holder = database.session().await;
    holder.execute("begin").await;
    take_on(&mut holder, "1").await;
    let mut other = database.session().await;
    other.execute_at_once("select postq.grant_parked('', 100)").await;
    assert_eq!(consume(&mut other.connection, "9").await.len(), 1, "the other slot");
}
