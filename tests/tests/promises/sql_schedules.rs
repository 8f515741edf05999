//! Schedules as they are kept in the database: what is refused, and who fires.

use postq_tests::{Database, Graph, Session, Task};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{code, refused};

const JOB: &str = r#"'{"tasks": {"a": {"handler": "h"}}}'"#;

/// DQ25: names, expressions, zones and documents are looked at before anything is stored.
#[tokio::test]
async fn what_is_no_schedule_is_refused_and_nothing_is_stored() {
    let database = Database::create().await;
    let long = "x".repeat(256);
    for (arguments, word) in [
        (format!("'', {JOB}, '* * * * *'"), "name"),
        (format!("null, {JOB}, '* * * * *'"), "name"),
        (format!("'{long}', {JOB}, '* * * * *'"), "256 bytes"),
        (format!("e'a\\nb', {JOB}, '* * * * *'"), "control character"),
        (format!("'x', {JOB}"), "set one of them"),
        (format!("'x', {JOB}, '* * * * *', '1 s'"), "set one of them"),
        (format!("'x', {JOB}, '* * * *'"), "no cron expression"),
        (format!("'x', {JOB}, 'a;b * * * *'"), "no cron expression"),
        (format!("'x', {JOB}, every => '0.5 s'"), "shorter than a second"),
        (format!("'x', {JOB}, every => '-1 day'"), "shorter than a second"),
        (format!("'x', {JOB}, every => '99 years'"), "longer than"),
        (format!("'x', {JOB}, '* * * * *', time_zone => 'Mars/Base'"), "no time zone"),
        (format!("'x', {JOB}, '* * * * *', time_zone => null"), "no time zone"),
        (format!("'x', {JOB}, '* * * * *', overlap => 'perhaps'"), "overlap"),
        (format!("'x', {JOB}, '* * * * *', catch_up => 'some'"), "catch_up"),
        (format!("'x', {JOB}, '* * * * *', catch_up_limit => 0"), "catch_up_limit"),
    ] {
        let (code, message) =
            refused(&database, &format!("select postq.schedule({arguments})")).await;
        assert_eq!(code, "PQ005", "{arguments}: {message}");
        assert!(message.contains(word), "{arguments}: {message}");
    }
    let bad = r#"select postq.schedule('x', '{"tasks": {"a": {}}}', '* * * * *')"#;
    assert_eq!(code(&database, bad).await, "PQ002");
    let stored: i64 = database.value("select count(*) from postq.schedules").await;
    assert_eq!(stored, 0);
}

/// DQ25: a schedule that is removed is gone.
#[tokio::test]
async fn a_schedule_is_put_replaced_paused_resumed_and_removed() {
    let database = Database::create().await;
    database.execute(&format!("select postq.schedule('x', {JOB}, '0 8 * * *')")).await;
    database.execute(&format!("select postq.schedule('x', {JOB}, every => '90 s')")).await;
    let look = || database.json("select to_jsonb(s) from postq.schedules s");
    let shown = look().await;
    assert_eq!((&shown["cron"], &shown["every"]), (&Value::Null, &json!("00:01:30")));
    assert_eq!(shown["is_paused"], false);
    for _ in 0..2 {
        database.execute("select postq.pause_schedule('x')").await;
        assert_eq!(look().await["is_paused"], true);
    }
    database.execute("select postq.resume_schedule('x')").await;
    assert_eq!(look().await["is_paused"], false);
    let made: Uuid = database.value("select postq.trigger_schedule('x')").await;
    assert_eq!(database.states(made).await, "a ready");
    assert!(database.value::<bool>("select postq.unschedule('x')").await);
    assert!(!database.value::<bool>("select postq.unschedule('x')").await);
    let stored: i64 = database.value("select count(*) from postq.schedules").await;
    assert_eq!(stored, 0);
    for function in ["pause_schedule", "resume_schedule", "trigger_schedule"] {
        assert_eq!(code(&database, &format!("select postq.{function}('x')")).await, "PQ003");
    }
}

/// What a coordinator sends to fire a schedule of that version.
fn fire(version: i64) -> String {
    let graph = Graph::default().with("a", Task::after([]));
    let job = json!({
        "id": Uuid::now_v7(), "queue": "default", "priority": 0, "name": "x", "task_count": 1,
        "spec": {}, "attributes": {}, "digest": "00",
    });
    let tasks = json!([{"n": 0, "name": graph.plan().tasks()[0].name(), "spec": {}}]);
    let jobs = json!([{"job": job, "tasks": tasks, "gates": []}]);
    let change =
        json!({"next_at": null, "waiting": [], "last_at": "2026-01-01T00:00:00Z", "skipped": 0});
    format!("select postq.fire_schedule('x', {version}, '{change}', '{jobs}')")
}

async fn fire_on(session: &mut Session, version: i64) -> bool {
    let fired: sqlx::types::Json<Value> = session.value(&fire(version)).await;
    fired["is_current"] == true
}

/// DQ24, PT18: of several that fire the same time at once, one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_fire_a_schedule_at_once_one_makes_its_job() {
    let database = Database::create().await;
    database.execute(&format!("select postq.schedule('x', {JOB}, every => '10 s')")).await;
    let (mut left, mut right) = (database.session().await, database.session().await);
    for turn in 1..=30 {
        let version: i64 = database.value("select version from postq.schedule").await;
        let (left, right) = tokio::join!(fire_on(&mut left, version), fire_on(&mut right, version));
        assert!(left != right, "turn {turn}: {left} and {right}");
        assert!(!fire_on(&mut database.session().await, version).await, "it is stale now");
        let jobs: i64 = database.value("select count(*) from postq.job").await;
        assert_eq!(jobs, turn);
    }
    assert_eq!(database.value::<i64>("select fired from postq.schedules").await, 30);
}

#[tokio::test]
async fn nobody_waits_for_a_transaction_that_changes_a_schedule() {
    let database = Database::create().await;
    database.execute(&format!("select postq.schedule('x', {JOB}, every => '10 s')")).await;
    let mut user = database.session().await;
    user.execute("begin").await;
    user.execute("select postq.pause_schedule('x')").await;
    let mut upkeep = database.session().await;
    upkeep.execute_at_once(&fire(1)).await;
    let jobs: i64 = database.value("select count(*) from postq.job").await;
    assert_eq!(jobs, 0, "it is somebody else's for now");
    user.execute("rollback").await;
    assert!(fire_on(&mut upkeep, 1).await);
    database.execute("select postq.pause_schedule('x')").await;
    let version: i64 = database.value("select version from postq.schedule").await;
    assert!(!fire_on(&mut upkeep, version).await, "what rests does not fire");
}

/// What the coordinators do with a time that cannot fire: it stays, with the reason, and is looked at
/// again; whoever changes the schedule meanwhile takes both away.
#[tokio::test]
async fn a_schedule_that_cannot_fire_now_is_looked_at_again_some_seconds_later() {
    let database = Database::create().await;
    let put = format!("select postq.schedule('x', {JOB}, every => '1 s')");
    let look = "select to_jsonb(s) || jsonb_build_object('next_ms', postq.next_schedule_ms()) from postq.schedules s";
    database.execute(&put).await;
    assert_eq!(database.json(look).await["next_ms"], 0);
    database.execute("select postq.defer_schedule('x', 7, 'too late')").await;
    assert_eq!(database.json(look).await["error"], Value::Null, "it is another version");
    database.execute("select postq.defer_schedule('x', 1, 'the queue is full')").await;
    let shown = database.json(look).await;
    assert_eq!(shown["error"], "the queue is full");
    assert!((1..=5000).contains(&shown["next_ms"].as_i64().unwrap()), "{shown}");
    database.advance_clock("6 s").await;
    let mut session = database.session().await;
    assert!(fire_on(&mut session, 1).await);
    let shown = database.json(look).await;
    assert_eq!((&shown["error"], &shown["retry_at"]), (&Value::Null, &Value::Null));
    for change in ["select postq.pause_schedule('x')", put.as_str()] {
        let defer = "select postq.defer_schedule('x', version, 'full') from postq.schedule where not is_paused";
        database.execute("select postq.resume_schedule('x')").await;
        database.execute(defer).await;
        database.execute(change).await;
        assert_eq!(database.json(look).await["error"], Value::Null, "{change}");
    }
}
