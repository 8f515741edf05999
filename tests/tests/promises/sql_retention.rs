//! Jobs that ended long ago are forgotten, in pages, with all that belongs to them.

use postq_tests::{Database, Graph, Worker};
use serde_json::{Value, json};

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
