//! What webhooks are to be told is written by the transition that ends a job, whichever that is.

use std::collections::BTreeMap;

use postq_tests::{Database, Graph, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{code, take, take_on};

const NOBODY: [Uuid; 0] = [];
const URL: &str = "https://hooks.example.com/a";

/// A database whose coordinators send somewhere.
async fn create() -> Database {
    let database = Database::create().await;
    let known = json!({"allow": ["https://hooks.example.com"], "secrets": ["default", "s"]});
    database.execute(&format!("select postq.note_webhooks('{known}')")).await;
    database
}

async fn submit(database: &Database, rest: Value) -> Uuid {
    let mut document = json!({"webhook": {"url": URL}, "tasks": {"a": {"handler": "h"}}});
    document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    database.submit(&document).await.unwrap()
}

/// What is to be told of which job.
async fn deliveries(database: &Database) -> BTreeMap<Uuid, String> {
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select job, body::jsonb ->> 'type' from postq.delivery")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

#[tokio::test]
async fn however_a_job_ends_its_webhook_is_to_be_told_once() {
    let database = create().await;
    let worker = Worker::connect(&database).await;
    let acked = submit(&database, json!({})).await;
    database.execute(&take(&database, "1").await.ack()).await;
    let nacked = submit(&database, json!({})).await;
    database.execute(&take(&database, "1").await.nack("no")).await;
    let by_agent = submit(&database, json!({"tasks": {"a": {"command": "true"}}})).await;
    worker.work(&database, |_| "failed").await;
    let cancelled = submit(&database, json!({})).await;
    database
        .execute(&format!("select postq.cancel('{cancelled}'); select postq.apply_inbox(0, 10)"))
        .await;
    let after = json!({"after": {"jobs": [by_agent]}});
    let mut skipped =
        json!({"webhook": {"url": URL, "secret": "s"}, "tasks": {"a": {"handler": "h"}}});
    skipped["after"] = after["after"].clone();
    // Planned by nobody here: it is cancelled as it waits.
    let skipped = database.submit(&skipped).await.unwrap();
    database
        .execute(&format!("select postq.cancel('{skipped}'); select postq.apply_inbox(0, 10)"))
        .await;
    let expired = submit(&database, json!({"expires_after": "1s"})).await;
    database.advance_clock("10 s").await;
    database.execute("select postq.apply_deadlines('-infinity', 10)").await;
    let quiet = Graph::of(&[("a", &[])]).admit(&database).await;
    worker.work(&database, |_| "succeeded").await;
    let told = deliveries(&database).await;
    assert!(!told.contains_key(&quiet));
    let wanted = [
        (acked, "job.succeeded"),
        (nacked, "job.failed"),
        (by_agent, "job.failed"),
        (cancelled, "job.cancelled"),
        (skipped, "job.cancelled"),
        (expired, "job.failed"),
    ];
    assert_eq!(told, BTreeMap::from(wanted.map(|(job, what)| (job, what.to_owned()))));
}

#[tokio::test]
async fn what_is_rolled_back_is_told_to_nobody() {
    let database = create().await;
    submit(&database, json!({})).await;
    let mut user = database.session().await;
    user.execute("begin").await;
    let taken = take_on(&mut user, "1").await;
    user.execute(&taken.ack()).await;
    user.execute("rollback").await;
    assert_eq!(deliveries(&database).await.len(), 0);
}

#[tokio::test]
async fn a_retry_tells_whom_the_job_it_repeats_told() {
    let database = create().await;
    let job = submit(&database, json!({})).await;
    database.execute(&take(&database, "1").await.nack("no")).await;
    // Whatever is allowed by now.
    database.execute("select postq.note_webhooks('{\"allow\": [], \"secrets\": []}')").await;
    let again: Uuid = database.value(&format!("select postq.retry('{job}')")).await;
    database.execute(&take(&database, "1").await.ack()).await;
    assert_eq!(deliveries(&database).await[&again], "job.succeeded");
}

/// Says how the one that was taken went, as a coordinator does.
fn settle(job: Uuid, how: &str) -> String {
    format!(
        "select postq.settle_delivery(job, next_at, {how}) from postq.delivery where job = '{job}'"
    )
}

/// Takes what is due, as a coordinator does; the jobs.
async fn taken(database: &Database, each: usize, busy: &[&str]) -> Vec<Uuid> {
    let take = sqlx::query_scalar(
        "select job from postq.take_deliveries('-infinity', 10, $1, $2, '60 s') order by due_at",
    );
    let each = i32::try_from(each).unwrap();
    take.bind(each).bind(busy).fetch_all(&database.pool).await.unwrap()
}

#[tokio::test]
async fn what_was_taken_is_offered_again_when_its_taker_says_nothing() {
    let database = create().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(submit(&database, json!({})).await);
        database.execute(&take(&database, "1").await.ack()).await;
    }
    assert_eq!(taken(&database, 9, &["https://hooks.example.com"]).await, NOBODY);
    assert_eq!(taken(&database, 2, &[]).await, jobs[..2]);
    assert_eq!(taken(&database, 2, &[]).await, jobs[2..]);
    assert_eq!(taken(&database, 9, &[]).await, NOBODY);
    database.execute(&settle(jobs[0], "null, null")).await;
    database.execute(&settle(jobs[1], "'no', 3600000")).await;
    database.advance_clock("61 s").await;
    assert_eq!(taken(&database, 9, &[]).await, jobs[2..]);
    database.execute(&settle(jobs[2], "'never', null")).await;
    let given_up: Vec<Uuid> =
        database.value("select array_agg(id) from postq.deliveries where is_given_up").await;
    assert_eq!(given_up, jobs[2..]);
    for job in &jobs {
        database.execute(&format!("select postq.redeliver('{job}')")).await;
    }
    let mut again = taken(&database, 9, &[]).await;
    again.sort();
    assert_eq!(again, jobs, "arrived, put off and given up");
}

#[tokio::test]
async fn only_jobs_with_a_webhook_that_have_ended_are_told_again() {
    let database = create().await;
    let job = submit(&database, json!({})).await;
    let quiet = Graph::of(&[("a", &[])]).admit(&database).await;
    for (id, wanted) in [(Uuid::now_v7(), "PQ003"), (job, "PQ006"), (quiet, "PQ005")] {
        assert_eq!(code(&database, &format!("select postq.redeliver('{id}')")).await, wanted);
    }
}

/// A user who asks for one more delivery and leaves the transaction open holds up neither those who
/// send nor those who end jobs.
#[tokio::test]
async fn nobody_waits_for_a_transaction_that_asks_for_a_delivery() {
    let database = create().await;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(submit(&database, json!({})).await);
        database.execute(&take(&database, "1").await.ack()).await;
    }
    let mut user = database.session().await;
    user.execute(&format!("begin; select postq.redeliver('{}')", jobs[0])).await;
    let mut other = database.session().await;
    for statement in [
        "select postq.take_deliveries('-infinity', 10, 10, '{}', '60 s')".to_owned(),
        settle(jobs[0], "'no', 5"),
        settle(jobs[1], "null, null"),
        "select postq.purge_finished('0 s')".to_owned(),
        "select postq.publish('h')".to_owned(),
        "select postq.ack(id, attempt) from postq.consume(1)".to_owned(),
    ] {
        other.execute_at_once(&statement).await;
    }
    user.execute("commit").await;
    assert_eq!(deliveries(&database).await.into_keys().collect::<Vec<_>>(), jobs[..1]);
}

/// What still has to be told keeps its job; what was given up does not.
#[tokio::test]
async fn a_job_is_not_forgotten_before_its_webhook_was_told() {
    let database = create().await;
    let job = submit(&database, json!({})).await;
    database.execute(&take(&database, "1").await.ack()).await;
    database.advance_clock("1 day").await;
    let purge = "select postq.purge_finished('1 hour')";
    assert_eq!(database.json(purge).await["purged"], 0);
    database.execute(&settle(job, "'never', null")).await;
    assert_eq!(database.json(purge).await["purged"], 1);
    assert_eq!(deliveries(&database).await.len(), 0);
}

/// Whoever sends it says how it went; somebody has asked meanwhile that it be sent anew.
#[tokio::test]
async fn what_is_to_be_sent_anew_is_not_undone_by_the_try_before() {
    let database = create().await;
    let job = submit(&database, json!({})).await;
    database.execute(&take(&database, "1").await.ack()).await;
    for how in ["null, null", "'never', null"] {
        assert_eq!(taken(&database, 9, &[]).await, [job]);
        let fence: String = database.value("select next_at::text from postq.delivery").await;
        database.execute(&format!("select postq.redeliver('{job}')")).await;
        let late = format!("select postq.settle_delivery('{job}', '{fence}', {how})");
        assert!(!database.value::<bool>(&late).await, "{how}");
    }
    assert_eq!(taken(&database, 9, &[]).await, [job]);
    assert!(database.value::<bool>(&settle(job, "null, null")).await);
}
