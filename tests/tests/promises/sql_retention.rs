//! Jobs that ended long ago are forgotten, in pages, with all that belongs to them.

use postq_tests::{Database, Graph, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{publish, refused, take};

async fn purge(database: &Database, arguments: &str) -> Value {
    database.json(&format!("select postq.purge_finished({arguments})")).await
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_page_by_page_and_leaves_nothing() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for _ in 0..5 {
        Graph::of(&[("a", &[]), ("b", &["a"])]).admit(&database).await;
    }
    worker.work(&database, |_| "succeeded").await;
    database.advance_clock("10 days").await;
    let young = Graph::of(&[("a", &[])]).admit(&database).await;
    worker.work(&database, |_| "succeeded").await;
    let running = Graph::of(&[("a", &[])]).admit(&database).await;
    worker.claim(&database, 1).await;
    assert_eq!(purge(&database, "'11 days'").await["purged"], 0);
    let mut after = "null".to_owned();
    let mut purged = 0;
    loop {
        let page = purge(&database, &format!("'9 days', 2, {after}")).await;
        purged += page["purged"].as_i64().unwrap();
        match page["last"].as_str() {
            Some(last) => after = format!("'{last}'"),
            None => break,
        }
    }
    assert_eq!(purged, 5);
    let left: Vec<uuid::Uuid> =
        database.value("select array_agg(id order by created_at, id) from postq.job").await;
    assert_eq!(left, [young, running]);
    let orphans: Vec<String> = database
        .value(
            "select coalesce(array_agg(c.relname || ': ' || n.count), '{}')
             from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
             cross join lateral (
                 select (xpath('/row/count/text()', query_to_xml(format(
                     'select count(*) as count from postq.%I where job not in (select id from postq.job)', c.relname),
                     true, true, '')))[1]::text::int as count) n
             where c.relnamespace = 'postq'::regnamespace and a.attname = 'job' and a.attnum > 0
               and a.atttypid = 'uuid'::regtype and n.count > 0",
        )
        .await;
    assert_eq!(orphans, [""; 0]);
}

#[tokio::test]
async fn a_job_with_a_dead_letter_stays_until_that_is_gone() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    Graph::of(&[("a", &[])]).admit(&database).await;
    worker.work(&database, |_| "failed").await;
    database.advance_clock("10 days").await;
    assert_eq!(purge(&database, "'1 day'").await, json!({"purged": 0, "last": null}));
    database.execute("select postq.purge('default')").await;
    assert_eq!(purge(&database, "'1 day'").await["purged"], 1);
}

/// So many jobs of a queue, each ended by its consumer.
async fn ended(database: &Database, queue: &str, count: usize) -> Vec<Uuid> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(publish(database, &format!("'h', queue => '{queue}'")).await);
        database.execute(&take(database, &format!("1, '{queue}'")).await.ack()).await;
    }
    jobs
}

/// All pages of `purge_queue`; how many jobs are gone.
async fn purge_queue(database: &Database, queue: &str, page: usize) -> i64 {
    let (mut purged, mut after, mut up_to) = (0, json!(null), json!(null));
    let quoted = |id: &Value| id.as_str().map_or("null".to_owned(), |id| format!("'{id}'"));
    loop {
        let done = database
            .json(&format!(
                "select postq.purge_queue('{queue}', {page}, {}, {})",
                quoted(&after),
                quoted(&up_to)
            ))
            .await;
        purged += done["purged"].as_i64().unwrap();
        (after, up_to) = (done["last"].clone(), done["up_to"].clone());
        if after.is_null() {
            return purged;
        }
    }
}

async fn left(database: &Database, queue: &str) -> Vec<Uuid> {
    let ids = format!(
        "select coalesce(array_agg(id order by id), '{{}}') from postq.job where queue = '{queue}'"
    );
    database.value(&ids).await
}

#[tokio::test]
async fn a_queue_keeps_so_many_of_its_ended_jobs_and_all_that_have_not_ended() {
    let database = Database::create().await;
    database.execute("select postq.create_queue('few', '{\"retention\": {\"jobs\": 3}}')").await;
    let open = publish(&database, "'h', queue => 'few', priority => -5").await;
    let jobs = ended(&database, "few", 8).await;
    ended(&database, "other", 5).await;
    assert_eq!(purge_queue(&database, "few", 2).await, 5);
    let mut wanted = vec![open];
    wanted.extend(&jobs[5..]);
    assert_eq!(left(&database, "few").await, wanted);
    assert_eq!(purge_queue(&database, "few", 2).await, 0);
    assert_eq!(purge_queue(&database, "other", 2).await, 0, "it says nothing");
    assert_eq!(left(&database, "other").await.len(), 5);
    database.execute("select postq.alter_queue('few', '{\"retention\": null}')").await;
    ended(&database, "few", 2).await;
    assert_eq!(purge_queue(&database, "few", 2).await, 0);
}

#[tokio::test]
async fn a_queue_keeps_its_ended_jobs_as_long_as_it_says_whatever_holds_for_others() {
    let database = Database::create().await;
    for (queue, age) in [("short", "86400s"), ("long", "8640000s")] {
        let settings = json!({"retention": {"age": age, "jobs": 100}});
        database.execute(&format!("select postq.create_queue('{queue}', '{settings}')")).await;
    }
    for queue in ["short", "long", "default"] {
        ended(&database, queue, 3).await;
    }
    database.advance_clock("10 days").await;
    let young = ended(&database, "short", 1).await;
    assert_eq!(purge(&database, "'5 days', 100").await["purged"], 3, "of the queue without a word");
    assert_eq!(purge_queue(&database, "short", 2).await, 3);
    assert_eq!(purge_queue(&database, "long", 2).await, 0);
    assert_eq!(left(&database, "short").await, young);
    assert_eq!(left(&database, "long").await.len(), 3);
    assert_eq!(left(&database, "default").await.len(), 0);
}

#[tokio::test]
async fn what_is_no_retention_is_refused() {
    let database = Database::create().await;
    for (retention, word) in [
        (json!("7d"), "object"),
        (json!({"days": 7}), "days"),
        (json!({"age": "7d"}), "duration"),
        (json!({"age": 7}), "duration"),
        (json!({"age": "0s"}), "1 s"),
        (json!({"age": "-5s"}), "1 s"),
        (json!({"jobs": -1}), "1000000"),
        (json!({"jobs": 1.5}), "1000000"),
        (json!({"jobs": "many"}), "1000000"),
        (json!({"jobs": 1_000_001}), "1000000"),
    ] {
        let settings = json!({"retention": retention});
        let (code, message) =
            refused(&database, &format!("select postq.create_queue('q', '{settings}')")).await;
        assert_eq!(code, "PQ005", "{settings}: {message}");
        assert!(message.contains("retention") && message.contains(word), "{settings}: {message}");
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.queues").await, 0);
}

/// A job that is to run after another one has not looked yet how that one ended.
#[tokio::test]
async fn a_job_is_not_forgotten_before_those_after_it_have_looked() {
    let database = Database::create().await;
    database.execute("select postq.create_queue('few', '{\"retention\": {\"jobs\": 1}}')").await;
    let parent = publish(&database, "'a', queue => 'few'").await;
    let child =
        json!({"queue": "few", "tasks": {"b": {"handler": "b"}}, "after": {"jobs": [parent]}});
    let child = database.submit(&child).await.unwrap();
    publish(&database, "'c', queue => 'few'").await;
    for _ in 0..2 {
        database.execute(&take(&database, "1, 'few'").await.ack()).await;
    }
    assert_eq!(purge_queue(&database, "few", 9).await, 0);
    assert_eq!(
        database.value::<String>(&format!("select postq.job_state('{child}')")).await,
        "queued"
    );
}
