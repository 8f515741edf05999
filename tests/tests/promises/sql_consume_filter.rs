//! A consumer with a filter finds what it holds for wherever that waits: parked, due, with another
//! consumer whose lease is over, or far behind.

use postq_tests::Database;
use serde_json::json;
use uuid::Uuid;

use crate::consumer::{consume, publish};

async fn submit(database: &Database, document: &serde_json::Value) -> Uuid {
    database.submit(document).await.unwrap()
}

#[tokio::test]
async fn what_stands_behind_a_thousand_others_is_found_before_these_are_gone() {
    let database = Database::create().await;
    database
        .execute(
            "select postq.publish_bulk(array(select row('h', null, null, null, null, null, null,
                 jsonb_build_object('n', n))::postq.bulk_job from generate_series(1, 12000) n))",
        )
        .await;
    let first = consume(&database.pool, "3, filter => '$.n > 500'").await;
    let numbers: Vec<_> = first.iter().map(|one| one.attributes["n"].clone()).collect();
    assert_eq!(numbers, [json!(501), json!(502), json!(503)], "in order among the first thousand");
    // One call in three at least looks where the last one is.
    let mut calls = 0;
    while consume(&database.pool, "1, filter => '$.n == 12000'").await.is_empty() {
        calls += 1;
        assert!(calls < 200, "it is not found");
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 11_996);
}

#[tokio::test]
async fn parked_tasks_are_taken_in_their_turn_by_those_whose_filter_holds() {
    let database = Database::create().await;
    let job = |team: &str, priority: i32| {
        json!({"attributes": {"team": team}, "priority": priority, "tasks": {
            "a": {"handler": "h", "concurrency": {"key": "k", "limit": 1}}}})
    };
    submit(&database, &job("b", 0)).await;
    let low = submit(&database, &job("a", 0)).await;
    let high = submit(&database, &job("a", 5)).await;
    for wanted in [high, low] {
        let taken = consume(&database.pool, "9, filter => '$.team == \"a\"'").await;
        assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), [wanted]);
        assert!(consume(&database.pool, "9, filter => '$.team == \"a\"'").await.is_empty());
        database.execute(&taken[0].ack()).await;
    }
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

#[tokio::test]
async fn due_tasks_with_a_key_are_found_by_a_filter_too() {
    let database = Database::create().await;
    for _ in 0..2 {
        let job = json!({"delay": "10s", "attributes": {"x": 1}, "tasks": {
            "a": {"handler": "h", "rate": {"key": "r", "limit": 1, "period": "60s"}}}});
        submit(&database, &job).await;
    }
    assert!(consume(&database.pool, "9, filter => '$.x == 1'").await.is_empty());
    database.advance_clock("11 s").await;
    assert_eq!(consume(&database.pool, "9, filter => '$.x == 1'").await.len(), 1);
    database.advance_clock("61 s").await;
    assert_eq!(consume(&database.pool, "9, filter => '$.x == 1'").await.len(), 1);
}

#[tokio::test]
async fn a_filter_takes_over_from_consumers_that_vanished_only_what_it_holds_for() {
    let database = Database::create().await;
    for team in ["a", "b"] {
        let attributes = json!({"team": team});
        publish(&database, &format!("'h', backoff => '1 s', attributes => '{attributes}'")).await;
    }
    assert_eq!(consume(&database.pool, "2, lease => '10 s'").await.len(), 2);
    database.advance_clock("20 s").await;
    let taken = consume(&database.pool, "9, filter => '$.team == \"a\"'").await;
    assert_eq!(taken.iter().map(|one| one.attempts).collect::<Vec<_>>(), [2]);
    let left: i64 = database.value("select count(*) from postq.expired").await;
    assert_eq!(left, 1, "the other one is for who wants it");
}
