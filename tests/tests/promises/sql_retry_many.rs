//! Many jobs run again by one call: those a filter chooses, or the dead letters of a queue, all at once or so
//! many per second.

use std::sync::Arc;

use postq_tests::{Database, Worker};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::consumer::{consume, publish, refused, state, take};

/// Publishes a job of a queue that fails for good.
async fn fail(database: &Database, queue: &str, team: &str) -> Uuid {
    let arguments = format!(
        "'mail', queue => '{queue}', max_retries => 1, attributes => '{{\"team\": \"{team}\"}}'"
    );
    let job = publish(database, &arguments).await;
    database.execute(&take(database, &format!("1, '{queue}'")).await.nack("no")).await;
    job
}

async fn retried(database: &Database, arguments: &str) -> Vec<Uuid> {
    let all = format!(
        "select coalesce(array_agg(id order by id), '{{}}') from postq.retry_matching({arguments})"
    );
    database.value(&all).await
}

/// Those that have failed, and of these each only once, however often it is asked for.
#[tokio::test]
async fn jobs_that_a_filter_chooses_are_retried_once() {
    let database = Database::create().await;
    let mut team_a = Vec::new();
    for _ in 0..3 {
        team_a.push(fail(&database, "mails", "a").await);
        fail(&database, "mails", "b").await;
    }
    let other = fail(&database, "other", "a").await;
    let by_hand = fail(&database, "mails", "a").await;
    database.execute(&format!("select postq.retry('{by_hand}')")).await;
    let cancelled =
        publish(&database, "'mail', queue => 'off', attributes => '{\"team\": \"a\"}'").await;
    database.execute(&format!("select postq.cancel('{cancelled}'); select postq.sweep()")).await;

    let newest = retried(&database, "'$.team == \"a\"', 'mails', max_count => 2").await;
    assert_eq!(newest, team_a[1..]);
    assert_eq!(retried(&database, "'$.team == \"a\"', 'mails'").await, team_a[..1], "the next one");
    assert!(retried(&database, "'$.team == \"a\"', 'mails'").await.is_empty(), "nobody twice");
    let rest = "'$.team == \"a\"', states => '{failed,cancelled}'";
    assert_eq!(retried(&database, rest).await, [other, cancelled]);
    assert_eq!(retried(&database, "queue => 'mails'").await.len(), 3, "those of team b");
    let left = "select count(*) from postq.dead_letters";
    assert_eq!(database.value::<i64>(left).await, 0, "what runs again is no dead letter");
    // A retry that fails again is a job that has failed.
    let again = take(&database, "1, 'other'").await;
    database.execute(&again.nack("no")).await;
    assert_eq!(retried(&database, "queue => 'other'").await, [again.id]);
}

/// Of two who ask at once each job is one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_retried_by_one_of_two_who_ask_at_once() {
    let database = Arc::new(Database::create().await);
    for _ in 0..20 {
        fail(&database, "mails", "a").await;
    }
    let start = Arc::new(Barrier::new(2));
    let mut hands = Vec::new();
    for _ in 0..2 {
        let (database, start) = (Arc::clone(&database), Arc::clone(&start));
        hands.push(tokio::spawn(async move {
            start.wait().await;
            retried(&database, "queue => 'mails'").await
        }));
    }
    let mut all = Vec::new();
    for hand in hands {
        all.extend(hand.await.unwrap());
    }
    all.extend(retried(&database, "queue => 'mails'").await);
    assert_eq!(all.len(), 20);
    let new = "select count(*) from postq.job where finished_at is null";
    assert_eq!(database.value::<i64>(new).await, 20);
}

/// Nothing is half-done: neither by what cannot be, nor where the queue has no room.
#[tokio::test]
async fn a_retry_of_many_that_cannot_be_is_refused() {
    let database = Database::create().await;
    for _ in 0..3 {
        fail(&database, "mails", "a").await;
    }
    for (call, wanted) in [
        ("retry_matching()", "filter is missing, and so is queue; say which jobs"),
        ("retry_matching('')", "filter is missing, and so is queue; say which jobs"),
        ("retry_matching('$.a')", "filter "),
        ("retry_matching('$.team ==')", "filter "),
        (
            "retry_matching(queue => 'mails', states => '{}')",
            "states may be failed, cancelled or both",
        ),
        (
            "retry_matching(queue => 'mails', states => null)",
            "states may be failed, cancelled or both",
        ),
        (
            "retry_matching(queue => 'mails', states => '{running}')",
            "states may be failed, cancelled or both",
        ),
        (
            "retry_matching(queue => 'mails', states => array[null])",
            "states may be failed, cancelled or both",
        ),
        (
            "retry_matching(queue => 'mails', max_count => 0)",
            "max_count is 0; it may be 1 to 10000",
        ),
        (
            "retry_matching(queue => 'mails', max_count => null)",
            "max_count is null; it may be 1 to 10000",
        ),
        (
            "retry_matching(queue => 'mails', rate => 0)",
            "rate is 0; it may be 0.001 to 1000000 jobs per second",
        ),
        ("retry_matching(queue => 'mails', rate => -1)", "rate is -1; it may be"),
        ("retry_matching(queue => 'mails', rate => 'NaN')", "rate is NaN; it may be"),
        ("redrive_all('mails', rate => 'infinity')", "rate is Infinity; it may be"),
        ("redrive_all('mails', filter => '$.a')", "filter "),
        ("redrive_all('mails', 0)", "max_count is 0; it may be 1 to"),
    ] {
        let (code, message) = refused(&database, &format!("select postq.{call}")).await;
        assert_eq!(code, "PQ005", "{call}: {message}");
        assert!(message.starts_with(wanted), "{call}: {message}");
    }
    database.execute("select postq.create_queue('mails', '{\"max_jobs\": 2}')").await;
    // On one connection: another one may find the letters locked until the refusal has been undone.
    let mut session = database.session().await;
    for call in ["retry_matching(queue => 'mails')", "redrive_all('mails')"] {
        let error = session.try_execute(&format!("select postq.{call}")).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("PQ010"), "{call}");
    }
    session.execute("select 1").await;
    assert_eq!(database.value::<i64>("select count(*) from postq.job").await, 3);
    assert_eq!(retried(&database, "queue => 'mails', max_count => 2").await.len(), 2);
}

/// How long after the first one each new job begins.
const BEGINNINGS: &str = "select coalesce(jsonb_agg(d order by d), '[]') from (
    select round(extract(epoch from s.run_at - postq.now())::numeric / 10) * 10 as d from postq.scheduled s) x";

/// So many begin per second; the first at once, the others at their times, also with nobody but consumers.
#[tokio::test]
async fn redriven_dead_letters_begin_at_a_rate() {
    let database = Database::create().await;
    for n in 0..4 {
        fail(&database, "mails", if n == 1 { "b" } else { "a" }).await;
    }
    let redrive = "select count(*) from postq.redrive_all('mails', filter => '$.team == \"a\"', rate => 0.02)";
    assert_eq!(database.value::<i64>(redrive).await, 3);
    assert_eq!(database.value::<i64>("select count(*) from postq.dead_letters").await, 1);
    assert_eq!(database.json(BEGINNINGS).await, json!([50, 100]));
    let states = "select coalesce(jsonb_agg(j.state order by j.state::text), '[]') from postq.jobs j where finished_at is null";
    assert_eq!(database.json(states).await, json!(["queued", "scheduled", "scheduled"]));
    let takes = async || consume(&database.pool, "9, 'mails', lease => '1 hour'").await.len();
    assert_eq!((takes().await, takes().await), (1, 0));
    database.advance_clock("51 s").await;
    assert_eq!((takes().await, takes().await), (1, 0));
    database.advance_clock("51 s").await;
    database.execute("select postq.sweep()").await;
    assert_eq!(database.json(states).await, json!(["queued", "running", "running"]));
    assert_eq!(takes().await, 1);
}

/// Larger jobs, in which other tasks have succeeded before, and tasks with keys wait for their times as well,
/// and go on from where they failed.
#[tokio::test]
async fn retried_graphs_begin_at_a_rate() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let keyed: Value = json!({"key": "k", "limit": 1});
    let graph = postq_tests::Graph::of(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]).queue("graphs");
    for _ in 0..2 {
        graph.admit(&database).await;
    }
    worker.work(&database, |one| if one.n == 1 { "failed" } else { "succeeded" }).await;
    let with_key =
        json!({"queue": "graphs", "tasks": {"a": {"handler": "x", "concurrency": keyed}}});
    for _ in 0..2 {
        database.submit(&with_key).await.unwrap();
        let one = take(&database, "1, 'graphs'").await;
        database.execute(&one.nack("no")).await;
    }
    assert_eq!(retried(&database, "queue => 'graphs', rate => 0.1").await.len(), 4);
    assert_eq!(database.json(BEGINNINGS).await, json!([10, 20, 30]));
    let waiting = "select count(*) from postq.task where state in ('ready', 'parked')";
    assert_eq!(database.value::<i64>(waiting).await, 1, "the first one");
    let rows = "select (select count(*) from postq.ready) + (select count(*) from postq.parked)";
    assert_eq!(database.value::<i64>(rows).await, 1);
    let mut ran = Vec::new();
    for _ in 0..4 {
        database.execute("select postq.promote('-infinity', 100); select postq.sweep()").await;
        ran.extend(worker.work(&database, |_| "succeeded").await);
        for one in consume(&database.pool, "9, 'graphs'").await {
            database.execute(&one.ack()).await;
        }
        database.advance_clock("11 s").await;
    }
    assert_eq!(
        ran.iter().filter(|n| **n == 2).count(),
        2,
        "both graphs came to their end: {ran:?}"
    );
    let succeeded =
        "select count(*) from postq.jobs where state = 'succeeded' and retry_of is not null";
    assert_eq!(database.value::<i64>(succeeded).await, 4);
}

/// A job whose new one waits for its time can be cancelled like any other.
#[tokio::test]
async fn a_retry_that_waits_for_its_time_is_cancelled() {
    let database = Database::create().await;
    fail(&database, "mails", "a").await;
    fail(&database, "mails", "a").await;
    database.execute("select postq.redrive_all('mails', rate => 0.001)").await;
    let later: Uuid = database.value("select id from postq.jobs where state = 'scheduled'").await;
    database.execute(&format!("select postq.cancel('{later}'); select postq.sweep()")).await;
    assert_eq!(state(&database, later).await, "cancelled");
}
