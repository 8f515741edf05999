//! Those who ask for it are told when a job is queued, picked and completed, in notifications of a
//! bounded size.

use std::{collections::BTreeSet, time::Duration};

use postq_tests::{Database, Graph, Worker, eventually};
use serde_json::json;
use sqlx::postgres::{PgListener, PgPoolOptions};
use uuid::Uuid;

use crate::consumer::{publish, take};

async fn listen(database: &Database) -> PgListener {
    let pool =
        PgPoolOptions::new().max_connections(1).connect_lazy_with(database.options().clone());
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen_all(["postq_queued", "postq_picked", "postq_completed"]).await.unwrap();
    listener
}

/// What is told next, or nothing within a moment.
async fn told(listener: &mut PgListener) -> Option<(String, Vec<Uuid>)> {
    let next =
        tokio::time::timeout(Duration::from_millis(700), listener.recv()).await.ok()?.unwrap();
    assert!(next.payload().len() < 8000);
    Some((next.channel().to_owned(), serde_json::from_str(next.payload()).unwrap()))
}

/// PJ27: three events for whoever listens.
#[tokio::test]
async fn queued_picked_and_completed_are_told() {
    let database = Database::create().await;
    let mut listener = listen(&database).await;
    let told_all = async |listener: &mut PgListener, job: Uuid| {
        for channel in ["postq_queued", "postq_picked", "postq_completed"] {
            assert_eq!(told(listener).await, Some((channel.to_owned(), vec![job])));
        }
    };
    publish(&database, "'quiet'").await;
    let job = publish(&database, "'h', notify => true").await;
    database.execute(&take(&database, "1, tasks => '{quiet}'").await.ack()).await;
    database.execute(&take(&database, "1").await.ack()).await;
    told_all(&mut listener, job).await;
    // By an agent.
    let document = json!({"notify": true, "tasks": {"a": {"command": "true"}}});
    let job = database.submit(&document).await.unwrap();
    Worker::connect(&database).await.work(&database, |_| "succeeded").await;
    told_all(&mut listener, job).await;
    // Once its time has come; and however it ends.
    let document = json!({"notify": true, "tasks": {"a": {"command": "true"}}, "delay": "60s"});
    let job = database.submit(&document).await.unwrap();
    assert_eq!(told(&mut listener).await, None);
    database.advance_clock("61 s").await;
    database.json("select postq.promote('-infinity', 10)").await;
    assert_eq!(told(&mut listener).await, Some(("postq_queued".into(), vec![job])));
    database
        .execute(&format!("select postq.cancel('{job}'); select postq.apply_inbox(0, 10)"))
        .await;
    assert_eq!(told(&mut listener).await, Some(("postq_completed".into(), vec![job])));
}

/// A queue may ask for all of its jobs, those of `publish_bulk` and `submit_many` included.
#[tokio::test]
async fn jobs_of_a_queue_that_asks_for_it_are_told_of() {
    let database = Database::create().await;
    let mut listener = listen(&database).await;
    publish(&database, "'h', queue => 'loud'").await;
    database.execute("select postq.create_queue('loud', '{\"notify\": true}')").await;
    assert_eq!(told(&mut listener).await, None, "it was submitted before");
    let job = publish(&database, "'h', queue => 'loud'").await;
    assert_eq!(told(&mut listener).await, Some(("postq_queued".into(), vec![job])));
    let bulk = "select array_agg(id) from postq.publish_bulk(array[
        row('h', null, null, null, null, null, 'loud', null)]::postq.bulk_job[]) id";
    let jobs: Vec<Uuid> = database.value(bulk).await;
    assert_eq!(told(&mut listener).await, Some(("postq_queued".into(), jobs)));
    database.execute("select postq.alter_queue('loud', '{\"notify\": null}')").await;
    publish(&database, "'h', queue => 'loud'").await;
    assert_eq!(told(&mut listener).await, None);
}

/// JQ9: a job that is tried again has not completed.
#[tokio::test]
async fn a_retry_completes_nothing() {
    let database = Database::create().await;
    let job = publish(&database, "'h', notify => true, backoff => '0 s'").await;
    let mut listener = listen(&database).await;
    database.execute(&take(&database, "1").await.nack("again")).await;
    assert_eq!(told(&mut listener).await, Some(("postq_picked".into(), vec![job])));
    assert_eq!(told(&mut listener).await, None);
    database.execute(&take(&database, "1").await.ack()).await;
    assert_eq!(
        told(&mut listener).await,
        Some(("postq_completed".into(), vec![job])),
        "picked is told once"
    );
}

#[tokio::test]
async fn what_is_rolled_back_is_not_told() {
    let database = Database::create().await;
    publish(&database, "'h', notify => true").await;
    let mut listener = listen(&database).await;
    let mut session = database.session().await;
    session.execute("begin; select postq.ack(id, attempt) from postq.consume(1); rollback").await;
    assert_eq!(told(&mut listener).await, None);
}

/// JQ49: two thousand at once, in notifications that Postgres takes.
#[tokio::test]
async fn the_end_of_two_thousand_jobs_at_once_is_told() {
    let database = Database::create().await;
    let publish =
        "select array_agg(postq.publish('h', notify => true)) from generate_series(1, 2000)";
    let ids: Vec<Uuid> = database.value(publish).await;
    // One call of the coordinator's, and one of a consumer's.
    let wide = Graph::of(&[("a", &[])]);
    let wide = wide.admit(&database).await;
    database.execute("update postq.job_spec set notify = true").await;
    let mut listener = listen(&database).await;
    database.execute("select postq.ack(id, attempt) from postq.consume(2000)").await;
    let worker = Worker::connect(&database).await;
    worker.work(&database, |_| "succeeded").await;
    let wanted: BTreeSet<Uuid> = ids.into_iter().chain([wide]).collect();
    let mut completed = BTreeSet::new();
    eventually("all are told", postq_tests::PATIENCE, async || {
        let (channel, jobs) = told(&mut listener).await?;
        if channel == "postq_completed" {
            completed.extend(jobs);
        }
        (completed == wanted).then_some(())
    })
    .await;
    // All in one statement: no more notifications than it takes.
    let ended: Vec<Uuid> = wanted.into_iter().collect();
    sqlx::query("select postq.job_ended($1)").bind(&ended).execute(&database.pool).await.unwrap();
    let mut count = 0;
    while let Some((_, jobs)) = told(&mut listener).await {
        assert!(jobs.len() <= 190);
        count += 1;
    }
    assert_eq!(count, ended.len().div_ceil(190));
}

/// JQ47: whoever published it reads the answer by its id.
#[tokio::test]
async fn the_result_of_a_job_is_read_by_its_id() {
    let database = Database::create().await;
    let job = publish(&database, "'sum', '[1, 2]'").await;
    let taken = take(&database, "1").await;
    database
        .execute(&format!("select postq.ack('{}', {}, '{{\"sum\": 3}}')", taken.id, taken.attempt))
        .await;
    let result = format!("select result from postq.tasks where job_id = '{job}'");
    assert_eq!(database.json(&result).await, json!({"sum": 3}));
}
