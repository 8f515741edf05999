//! A unique key is held by one job at a time, whoever asks, and is free as soon as that has ended.

use postq_tests::{Database, Graph, Session};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::consumer::{code, publish, state, take};

/// Submits a document with a key; its job and whether it is new.
async fn unique(session: &mut Session, unique: Value) -> (Uuid, bool) {
    let document = json!({"tasks": {"a": {"handler": "h"}}, "unique": unique});
    let submit = sqlx::query_as("select id, created from postq.submit_unique($1)");
    submit.bind(Json(document)).fetch_one(&mut session.connection).await.unwrap()
}

#[tokio::test]
async fn a_second_submit_with_the_same_key_is_the_first_job_and_says_so() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let (first, created) = unique(&mut session, json!({"key": "k"})).await;
    assert!(created);
    assert_eq!(unique(&mut session, json!({"key": "k"})).await, (first, false));
    assert_eq!(publish(&database, "'other', unique_key => 'k'").await, first);
    let document =
        json!({"tasks": {"a": {"command": "x"}, "b": {"command": "x"}}, "unique": {"key": "k"}});
    assert_eq!(database.submit(&document).await.unwrap(), first);
    for table in ["job", "job_spec", "task", "unique_key"] {
        let count: i64 = database.value(&format!("select count(*) from postq.{table}")).await;
        assert_eq!(count, 1, "{table}");
    }
    let short =
        "select id from postq.submit_unique('{\"tasks\": {\"a\": {\"handler\": \"h\"}}}', 'k')";
    assert_eq!(database.value::<Uuid>(short).await, first);
    for bad in [
        "select postq.submit_unique('{\"tasks\": {\"a\": {\"handler\": \"h\"}}}')",
        "select postq.submit_unique('{\"tasks\": {\"a\": {\"handler\": \"h\"}}, \"unique\": {\"key\": \"x\"}}', 'k')",
        "select postq.publish('h', unique_key => '')",
    ] {
        assert_eq!(code(&database, bad).await, "PQ005", "{bad}");
    }
}

#[tokio::test]
async fn a_key_is_of_its_queue_unless_it_is_of_all() {
    let database = Database::create().await;
    let here = publish(&database, "'h', unique_key => 'k'").await;
    let there = publish(&database, "'h', unique_key => 'k', queue => 'there'").await;
    assert_ne!(here, there);
    let submit = async |queue: &str| {
        let document = json!({"queue": queue, "tasks": {"a": {"handler": "h"}}, "unique": {"key": "k", "scope": "ALL"}});
        database.submit(&document).await.unwrap()
    };
    let all = submit("here").await;
    assert_eq!(submit("there").await, all);
    assert!(all != here && all != there);
}

#[tokio::test]
async fn a_key_is_free_when_its_job_has_ended_however() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let mut last = None;
    for end in ["ack", "nack", "cancel", "reject"] {
        let (job, created) = unique(&mut session, json!({"key": "k"})).await;
        assert!(created, "before {end}");
        assert!(last != Some(job));
        last = Some(job);
        match end {
            "ack" => database.execute(&take(&database, "1").await.ack()).await,
            "nack" => database.execute(&take(&database, "1").await.nack("no")).await,
            "cancel" => {
                let cancel =
                    format!("select postq.cancel('{job}'); select postq.apply_inbox(0, 10)");
                database.execute(&cancel).await;
            }
            _ => {
                database
                    .execute(&format!("select postq.cancel('{job}'); select postq.sweep()"))
                    .await;
                let document = json!({"tasks": {"a": {"command": "x"}, "b": {"command": "x"}}, "unique": {"key": "k"}});
                let planned = database.submit(&document).await.unwrap();
                assert_eq!(unique(&mut session, json!({"key": "k"})).await, (planned, false));
                database
                    .execute(
                        "select postq.reject_submission(seq, 'no sense') from postq.submission",
                    )
                    .await;
            }
        }
    }
    assert!(unique(&mut session, json!({"key": "k"})).await.1);
}

#[tokio::test]
async fn a_key_with_a_period_is_held_for_that_long_and_no_longer() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let key = json!({"key": "k", "period": "60s"});
    let (first, _) = unique(&mut session, key.clone()).await;
    database.execute(&take(&database, "1").await.ack()).await;
    assert_eq!(unique(&mut session, key.clone()).await, (first, false), "although it has ended");
    database.advance_clock("61 s").await;
    let (second, created) = unique(&mut session, key.clone()).await;
    assert!(created && second != first);
    database.advance_clock("61 s").await;
    assert!(unique(&mut session, key).await.1, "although the one before has not ended");
}

#[tokio::test]
async fn a_replacement_cancels_what_has_not_started_and_nothing_else() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let replacing = json!({"key": "k", "existing": "REPLACE"});
    let (first, _) = unique(&mut session, json!({"key": "k"})).await;
    let (second, created) = unique(&mut session, replacing.clone()).await;
    assert!(created);
    assert_eq!(state(&database, first).await, "cancelled");
    assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 1);
    let taken = take(&database, "1").await;
    assert_eq!(taken.id, second);
    assert_eq!(unique(&mut session, replacing.clone()).await, (second, false), "it has started");
    assert_eq!(state(&database, second).await, "running");
    database.execute(&taken.ack()).await;
    // One that waits for its time, and one that waits to be planned.
    let later = json!({"delay": "3600s", "tasks": {"a": {"handler": "h"}}, "unique": {"key": "k"}});
    let later = database.submit(&later).await.unwrap();
    let large = json!({"tasks": {"a": {"command": "x"}, "b": {"command": "x"}}, "unique": replacing.clone()});
    let large = database.submit(&large).await.unwrap();
    let (last, _) = unique(&mut session, replacing).await;
    for (job, wanted) in [(later, "cancelled"), (large, "cancelled"), (last, "queued")] {
        assert_eq!(state(&database, job).await, wanted);
    }
    let left =
        "select (select count(*) from postq.scheduled) + (select count(*) from postq.submission)";
    assert_eq!(database.value::<i64>(left).await, 0);
}

#[tokio::test]
async fn a_rolled_back_replacement_leaves_the_old_job_as_it_was() {
    let database = Database::create().await;
    let mut session = database.session().await;
    let (first, _) = unique(&mut session, json!({"key": "k"})).await;
    session.execute("begin").await;
    assert!(unique(&mut session, json!({"key": "k", "existing": "REPLACE"})).await.1);
    // Nobody waits for it meanwhile.
    let mut other = database.session().await;
    other.execute_at_once("select * from postq.consume(1)").await;
    other.execute_at_once("select postq.sweep()").await;
    session.execute("rollback").await;
    assert_eq!(state(&database, first).await, "queued");
    assert_eq!(take(&database, "1").await.id, first);
}

#[tokio::test]
async fn of_two_transactions_with_one_key_the_second_waits_and_is_the_first_ones_job() {
    let database = Database::create().await;
    for (end, is_mine) in [("commit", false), ("rollback", true)] {
        let (mut one, mut other) = (database.session().await, database.session().await);
        one.execute("begin").await;
        let key = json!({"key": end});
        let (first, _) = unique(&mut one, key.clone()).await;
        let waiting = tokio::spawn(async move { unique(&mut other, key).await });
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        postq_tests::eventually("the second one waits", postq_tests::PATIENCE, async || {
            (database.value::<i64>(waits).await > 0).then_some(())
        })
        .await;
        one.execute(end).await;
        let (second, created) = waiting.await.unwrap();
        assert_eq!((created, second == first), (is_mine, !is_mine), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_makes_the_job() {
    let database = Database::create().await;
    for round in 0..5 {
        let mut all = Vec::new();
        for _ in 0..8 {
            let mut session = database.session().await;
            all.push(tokio::spawn(async move {
                unique(&mut session, json!({"key": format!("{round}")})).await
            }));
        }
        let mut ids = Vec::new();
        for one in all {
            ids.push(one.await.unwrap());
        }
        assert_eq!(ids.iter().filter(|(_, created)| *created).count(), 1, "{ids:?}");
        assert!(ids.iter().all(|(id, _)| *id == ids[0].0), "{ids:?}");
    }
}

#[tokio::test]
async fn the_same_id_is_the_same_job_whoever_has_its_key_by_now() {
    let database = Database::create().await;
    let graph = Graph::of(&[("a", &[])]);
    let id: Uuid = database.value("select postq.new_id()").await;
    graph.admit_as(&database, id, None).await;
    let document = json!({"tasks": {"a": {"handler": "h"}}, "unique": {"key": "k"}});
    let submit = async |id: Uuid| -> Uuid {
        let submit =
            sqlx::query_scalar("select postq.submit($1, $2)").bind(Json(&document)).bind(id);
        submit.fetch_one(&database.pool).await.unwrap()
    };
    let first: Uuid = database.value("select postq.new_id()").await;
    assert_eq!(submit(first).await, first);
    database
        .execute(&format!("select postq.cancel('{first}'); select postq.apply_inbox(0, 10)"))
        .await;
    let second: Uuid = database.value("select postq.new_id()").await;
    assert_eq!(submit(second).await, second);
    assert_eq!(submit(first).await, first, "its answer was lost, perhaps");
    assert_eq!(submit(second).await, second);
}

#[tokio::test]
async fn keys_that_are_free_are_forgotten_and_others_kept() {
    let database = Database::create().await;
    let publish =
        "select count(postq.publish('h', unique_key => 'k' || n)) from generate_series(1, 25) n";
    database.value::<i64>(publish).await;
    database.execute("select postq.ack(id, attempt) from postq.consume(20)").await;
    let mut page = json!({"scope": "", "key": ""});
    while !page.is_null() {
        let sweep =
            sqlx::query_scalar::<_, Option<Json<Value>>>("select postq.sweep_keys($1, $2, 4)");
        let sweep = sweep.bind(page["scope"].as_str()).bind(page["key"].as_str());
        page =
            sweep.fetch_one(&database.pool).await.unwrap().map_or(Value::Null, |Json(page)| page);
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.unique_key").await, 5);
    database
        .execute("select postq.ack(id, attempt) from postq.consume(20); select postq.sweep()")
        .await;
    assert_eq!(database.value::<i64>("select count(*) from postq.unique_key").await, 0);
}
