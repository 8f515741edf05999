//! Lanes of one kind that several transactions made at once are folded into the first of them.

use postq_tests::{Database, Session, Task, Worker};
use serde_json::json;
use uuid::Uuid;

use crate::{consumer::consume, sql_model::FAULTS};

const ONE: &str = r#"select postq.submit('{"tasks": {"a": {"handler": "h"}}}')"#;

async fn sweep(database: &Database) {
    // A connection of its own: it must be the first statement of its transaction.
    database.session().await.execute("select postq.sweep_lanes()").await;
}

async fn lanes(database: &Database) -> Vec<i64> {
    database.value("select array_agg(id order by id) from postq.lane").await
}

/// Two sessions that make a lane each, by this statement; both have committed.
async fn twins(database: &Database, statement: &str) {
    let (mut left, mut right) = (database.session().await, database.session().await);
    for session in [&mut left, &mut right] {
        session.execute("begin").await;
        session.execute(statement).await;
    }
    left.execute("commit").await;
    right.execute("commit").await;
    assert_eq!(lanes(database).await.len(), 2);
}

/// Notes the twins, and lets so much time pass that they may be forgotten.
async fn fold(database: &Database) {
    sweep(database).await;
    database.advance_clock("2 min").await;
    sweep(database).await;
}

async fn ack_all(database: &Database) -> usize {
    let taken = consume(&database.pool, "100").await;
    for one in &taken {
        database.execute(&one.ack()).await;
    }
    taken.len()
}

#[tokio::test]
async fn a_twin_lane_is_gone_once_it_is_empty_and_not_before() {
    let database = Database::create().await;
    twins(&database, ONE).await;
    let [first, _] = lanes(&database).await[..] else { panic!() };
    fold(&database).await;
    assert_eq!(lanes(&database).await.len(), 2, "a task waits in each");
    let taken = consume(&database.pool, "100").await;
    assert_eq!(taken.len(), 2);
    sweep(&database).await;
    assert_eq!(lanes(&database).await.len(), 2, "a consumer works on one of each");
    for one in &taken {
        database.execute(&one.nack("no")).await;
    }
    sweep(&database).await;
    assert_eq!(lanes(&database).await, [first], "what failed for good is in no lane");
    database.execute(ONE).await;
    assert_eq!((ack_all(&database).await, lanes(&database).await), (1, vec![first]));
}

#[tokio::test]
async fn tasks_that_were_blocked_in_a_twin_come_in_order_with_the_others() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let graph = postq_tests::Graph::of(&[("a", &[])]).with("b", Task::after(["a"]));
    let (left, right) = (graph.admit(&database).await, graph.admit(&database).await);
    // As if the second one had been admitted beside the first.
    database
        .execute(&format!(
            "insert into postq.lane (queue, priority, executor, handler)
             select queue, priority, executor, handler from postq.lane;
             update postq.task set lane = (select max(id) from postq.lane) where job = '{right}';
             update postq.ready set lane = (select max(id) from postq.lane) where job = '{right}'"
        ))
        .await;
    let claimed = worker.claim(&database, 1).await;
    assert_eq!(claimed.len(), 2, "one of each lane");
    fold(&database).await;
    assert_eq!(lanes(&database).await.len(), 2, "an agent works on a task of it");
    for one in claimed.iter().rev() {
        worker.end(&database, one, "succeeded").await;
    }
    assert_eq!(database.value::<Vec<String>>(FAULTS).await, [""; 0]);
    sweep(&database).await;
    assert_eq!(lanes(&database).await.len(), 1);
    let order: Vec<Uuid> = worker.claim(&database, 2).await.iter().map(|one| one.job).collect();
    assert_eq!(order, [right, left], "as they became ready");
}

#[tokio::test]
async fn a_twin_comes_back_for_who_puts_a_task_into_it_after_all() {
    let database = Database::create().await;
    let mut first = database.session().await;
    first.execute("begin").await;
    first.execute(ONE).await;
    database.execute(ONE).await;
    // It will never see the first lane.
    let mut late: Session = database.session().await;
    late.execute("begin isolation level repeatable read; select 1 from postq.job").await;
    first.execute("commit").await;
    assert_eq!(ack_all(&database).await, 2);
    fold(&database).await;
    assert_eq!(lanes(&database).await.len(), 1);
    late.execute(ONE).await;
    late.execute("commit").await;
    assert!(consume(&database.pool, "1").await.is_empty());
    sweep(&database).await;
    assert_eq!(ack_all(&database).await, 1);
    sweep(&database).await;
    assert_eq!(lanes(&database).await.len(), 1);
}

/// Parked tasks of a twin, and those that fall due in it.
#[tokio::test]
async fn nothing_that_waits_in_a_twin_is_lost() {
    let database = Database::create().await;
    let job = |key: Option<&str>, delay: &str| {
        let mut task = json!({"handler": "h", "retry": {"max_attempts": 2}});
        if let Some(key) = key {
            task["concurrency"] = json!({"key": key, "limit": 1});
        }
        format!("select postq.submit('{}')", json!({"delay": delay, "tasks": {"a": task}}))
    };
    let all = [
        job(None, "0s"),
        job(Some("k"), "0s"),
        job(Some("k"), "0s"),
        job(None, "300s"),
        job(Some("k"), "300s"),
    ];
    twins(&database, &all.join("; ")).await;
    let mut done = 0;
    for _ in 0..12 {
        sweep(&database).await;
        done += ack_all(&database).await;
        database.advance_clock("90 s").await;
        assert_eq!(database.value::<Vec<String>>(FAULTS).await, [""; 0]);
    }
    assert_eq!(done, 10);
    assert_eq!(lanes(&database).await.len(), 1);
}
