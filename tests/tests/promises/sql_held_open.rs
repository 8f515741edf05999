//! Users hold their transactions open: whatever they have called in them, nobody waits for it.

use std::collections::BTreeSet;

use postq_tests::{Database, End, Graph, Worker, finish_on};
use uuid::Uuid;

use crate::{
    consumer::{consume, publish, take},
    sql_catalog::FOR_USERS,
};

/// Everything else that goes on, none of which may wait for the transaction that is held open.
pub(crate) async fn the_rest_goes_on(database: &Database, worker: &Worker, jobs: &[Uuid]) {
    let mut session = database.session().await;
    session.execute("set statement_timeout = '1s'").await;
    Graph::of(&[("a", &[]), ("b", &["a"])]).admit(database).await;
    publish(database, "'other'").await;
    let claimed = worker.claim_on(&mut session.connection, 1).await.unwrap();
    let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
    finish_on(&mut session.connection, &ends).await.unwrap();
    for job in jobs {
        session.execute(&format!("select postq.cancel('{job}', 'no more')")).await;
    }
    for verb in [
        format!("postq.beat('{}')", worker.coordinator),
        "postq.apply_inbox(0, 100)".to_owned(),
        "postq.promote('-infinity', 100)".to_owned(),
        "postq.expire_leases(100)".to_owned(),
        "postq.expire_leases(100, true)".to_owned(),
        "postq.sweep_lanes()".to_owned(),
        "postq.sweep()".to_owned(),
        "postq.purge_finished('0 s')".to_owned(),
        "postq.purge_queue('default')".to_owned(),
        "postq.redrive_all('default')".to_owned(),
        "postq.purge('default')".to_owned(),
        "postq.listen('default')".to_owned(),
        "postq.publish('mail')".to_owned(),
        "postq.queue_depth('default')".to_owned(),
    ] {
        session.execute(&format!("select {verb}")).await;
    }
    let taken = consume(&mut session.connection, "1").await;
    for one in taken {
        session.execute(&one.ack()).await;
    }
    consume(&mut session.connection, "1, 'dlq@default'").await;
}

/// A call of each function. `{waiting}`, `{dead}` and `{ended}` are jobs, `{taken}` is one that is being
/// worked on.
const CALLS: [(&str, &str); 31] = [
    ("ack_many", "postq.ack_many(array['{taken}'::uuid], array[{attempt}::bigint])"),
    (
        "alter_queue",
        "postq.alter_queue('default', '{\"retry\": {\"max_attempts\": 2}, \"aging\": 1}')",
    ),
    (
        "alter_queue",
        "postq.alter_queue('default', '{\"max_jobs\": 1000, \"max_running\": 1000, \"rate\": {\"limit\": 1000, \"period\": \"60s\"}}')",
    ),
    ("cancel_many", "postq.cancel_many(array['{waiting}'::uuid, '{taken}'])"),
    ("cancel_matching", "postq.cancel_matching(queue => 'default')"),
    ("create_queue", "postq.create_queue('new', '{\"max_jobs\": 5, \"max_running\": 5}')"),
    ("delete_queue", "postq.delete_queue('spare')"),
    ("find_jobs", "postq.find_jobs(of_queue => 'default')"),
    ("job_state", "postq.job_state('{waiting}')"),
    ("listen", "postq.listen('default')"),
    ("pause", "postq.pause('default')"),
    ("pause_schedule", "postq.pause_schedule('hourly')"),
    ("publish", "postq.publish('mail', unique_key => 'held')"),
    (
        "publish_bulk",
        "postq.publish_bulk(array(select row('mail', null, null, null, null, null, null, null)::postq.bulk_job))",
    ),
    ("purge", "postq.purge('default')"),
    ("queue_depth", "postq.queue_depth('default')"),
    ("redrive", "postq.redrive('{dead}')"),
    ("redrive_all", "postq.redrive_all('default')"),
    ("resume", "postq.resume('default')"),
    ("resume_schedule", "postq.resume_schedule('resting')"),
    ("redrive_all", "postq.redrive_all('default', rate => 1)"),
    ("retry", "postq.retry('{dead}')"),
    ("retry_matching", "postq.retry_matching(queue => 'default')"),
    ("retry", "postq.retry('{ended}', array['ended'])"),
    (
        "schedule",
        "postq.schedule('new', '{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}', every => '1 hour')",
    ),
    ("submit", "postq.submit('{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}')"),
    (
        "submit_many",
        "postq.submit_many(array['{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}'::jsonb])",
    ),
    (
        "submit_unique",
        "postq.submit_unique('{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}', 'held')",
    ),
    ("trigger_schedule", "postq.trigger_schedule('hourly')"),
    ("unschedule", "postq.unschedule('hourly')"),
    (
        "schedule",
        "postq.schedule('hourly', '{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}', every => '2 hours')",
    ),
];

/// Those are held open, with what becomes of them, in `sql_consume_races` and `sql_webhooks`.
const ELSEWHERE: [&str; 7] = ["ack", "cancel", "consume", "nack", "redeliver", "release", "renew"];

/// Fills in the jobs that a call is about; new ones, as others end them meanwhile.
async fn about_jobs(database: &Database, call: &str) -> String {
    publish(database, "'ended'").await;
    let done = take(database, "1, tasks => array['ended']").await;
    database.execute(&done.ack()).await;
    publish(database, "'dead', max_retries => 1").await;
    let died = take(database, "1, tasks => array['dead']").await;
    database.execute(&died.nack("no")).await;
    publish(database, "'taken'").await;
    let taken = take(database, "1, tasks => array['taken']").await;
    let waiting = publish(database, "'mail'").await;
    call.replace("{ended}", &done.id.to_string())
        .replace("{dead}", &died.id.to_string())
        .replace("{taken}", &taken.id.to_string())
        .replace("{attempt}", &taken.attempt.to_string())
        .replace("{waiting}", &waiting.to_string())
}

#[tokio::test]
async fn nobody_waits_for_a_transaction_that_has_called_any_function() {
    let called = CALLS.iter().map(|(name, _)| *name).chain(ELSEWHERE);
    assert_eq!(called.collect::<BTreeSet<_>>(), FOR_USERS.into_iter().collect());
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = "{\"tasks\": {\"a\": {\"handler\": \"mail\"}}}";
    for name in ["hourly", "resting"] {
        let schedule = format!("select postq.schedule('{name}', '{job}', every => '1 hour')");
        database.execute(&schedule).await;
    }
    database.execute("select postq.pause_schedule('resting'), postq.create_queue('spare'), postq.create_queue('default')").await;
    for (name, call) in CALLS {
        let call = about_jobs(&database, call).await;
        let mut user = database.session().await;
        user.execute(&format!("begin; select {call}")).await;
        println!("{name} is held open");
        the_rest_goes_on(&database, &worker, &[]).await;
        user.execute("rollback").await;
        database.advance_clock("61 min").await;
    }
}
