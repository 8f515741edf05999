//! Consumers that take tasks of larger jobs: what follows from them is applied after their commit, and
//! their open transactions hold up nobody.

use postq_tests::{Database, End, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{code, consume, publish, state, take};

/// A job whose handlers `h.*` are for consumers, and whose other tasks are for agents: `h.a` and `b`
/// first, then `h.c` and `d`, which want both.
async fn submit(database: &Database) -> Uuid {
    let tasks = [
        ("a", "h.a", [].as_slice()),
        ("b", "", &[]),
        ("c", "h.c", &["a", "b"]),
        ("d", "", &["a", "b"]),
    ];
    let id: Uuid = database.value("select postq.new_id()").await;
    let job = json!({"id": id, "queue": "default", "priority": 0, "name": "", "task_count": 4,
                     "spec": {}, "attributes": {}, "digest": "00", "traceparent": null});
    let rows: Vec<Value> = (0..)
        .zip(tasks)
        .map(|(n, (name, handler, depends)): (i32, _)| {
            let has_gate = !depends.is_empty();
            let mut spec = json!({});
            if !handler.is_empty() {
                spec = json!({"handler": handler});
            }
            json!({"n": n, "name": name, "gate": has_gate.then_some(0), "handler": spec.get("handler"),
                   "executor": if handler.is_empty() { "shell" } else { "handler" },
                   "run_if": "succeeded", "max_attempts": 2, "crash_limit": 5, "backoff_ms": 0,
                   "max_backoff_ms": 0, "depends": if has_gate { vec![0, 1] } else { vec![] },
                   "parents": if has_gate { vec![0, 1] } else { vec![] }, "has_workspace": false, "spec": spec})
        })
        .collect();
    let gates = json!([{"g": 0, "first": 2, "last": 3, "parents": [0, 1]}]);
    database
        .json(&format!("select postq.admit('{job}', '{}', '{gates}')", Value::from(rows)))
        .await;
    id
}

async fn sweep(database: &Database) {
    database.session().await.execute("select postq.sweep()").await;
}

#[tokio::test]
async fn a_task_of_a_graph_that_is_acked_opens_the_tasks_behind_it() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = submit(&database).await;
    let a = take(&database, "9").await;
    assert_eq!((a.id, a.task.as_str()), (job, "h.a"));
    sweep(&database).await;
    assert_eq!(state(&database, job).await, "running", "it has started");
    database.execute(&a.ack()).await;
    assert_eq!(database.states(job).await, "a succeeded, b ready, c blocked, d blocked");
    worker.work(&database, |_| "succeeded").await;
    assert_eq!(database.states(job).await, "a succeeded, b succeeded, c blocked, d blocked");
    sweep(&database).await;
    assert_eq!(database.states(job).await, "a succeeded, b succeeded, c ready, d ready");
    let c = take(&database, "9").await;
    database.execute(&c.ack()).await;
    worker.work(&database, |_| "succeeded").await;
    sweep(&database).await;
    assert_eq!(state(&database, job).await, "succeeded");
    let counts = "select open_tasks from postq.jobs";
    assert_eq!(database.value::<i32>(counts).await, 0);
}

#[tokio::test]
async fn a_task_of_a_graph_that_fails_for_good_skips_what_waits_for_it() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = submit(&database).await;
    for _ in 0..2 {
        let a = take(&database, "9").await;
        database.execute(&a.nack("no")).await;
    }
    worker.work(&database, |_| "succeeded").await;
    sweep(&database).await;
    assert_eq!(database.states(job).await, "a failed, b succeeded, c skipped, d skipped");
    assert_eq!(state(&database, job).await, "failed");
    let letter = "select task from postq.dead_letters";
    assert_eq!(database.value::<String>(letter).await, "h.a");
    let again: uuid::Uuid = database.value(&format!("select postq.redrive('{job}')")).await;
    assert_eq!(database.states(again).await, "a ready, b succeeded, c blocked, d blocked");
}

/// Whoever holds a task of the job in an open transaction: its other tasks go on, and a cancel.
#[tokio::test]
async fn agents_go_on_with_a_job_of_which_a_consumer_holds_a_task_in_an_open_transaction() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for (verb, after_cancel) in [
        ("consume", "a running, b succeeded, c cancelled, d cancelled"),
        ("ack", "a succeeded, b succeeded, c cancelled, d cancelled"),
        ("nack", "a cancelled, b succeeded, c cancelled, d cancelled"),
        ("release", "a cancelled, b succeeded, c cancelled, d cancelled"),
    ] {
        let job = submit(&database).await;
        let mut user = database.session().await;
        if verb == "consume" {
            user.execute("begin").await;
        }
        let taken = consume(&mut user.connection, "1, tasks => '{h.a}'").await.remove(0);
        let word = match verb {
            "ack" => taken.ack(),
            "nack" => taken.nack("no"),
            "release" => taken.release(),
            _ => "select 1".to_owned(),
        };
        user.execute(&format!("{}; {word}", if verb == "consume" { "select 1" } else { "begin" }))
            .await;

        let mut others = database.session().await;
        others.execute("set statement_timeout = '1s'").await;
        let claimed = worker.claim_on(&mut others.connection, 1).await.unwrap();
        assert_eq!(claimed.iter().filter(|one| one.job == job).count(), 1, "{verb}");
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        postq_tests::finish_on(&mut others.connection, &ends).await.unwrap();
        others.execute(&format!("select postq.cancel('{job}')")).await;
        others.execute("select postq.apply_inbox(0, 100); select postq.sweep()").await;
        user.execute("commit").await;
        sweep(&database).await;
        sweep(&database).await;
        assert_eq!(database.states(job).await, after_cancel, "{verb}");
        if verb == "consume" {
            let asked = "select cancel_requested_at is not null from postq.running";
            assert!(database.value::<bool>(asked).await);
            database.execute(&taken.nack("stopped")).await;
            sweep(&database).await;
        }
        assert_eq!(state(&database, job).await, "cancelled", "{verb}");
        assert_eq!(database.value::<i64>("select count(*) from postq.inbox").await, 0);
    }
}

/// What a consumer does raises the revision of the job, for those who watch it.
#[tokio::test]
async fn a_watcher_sees_what_consumers_did() {
    let database = Database::create().await;
    let job = submit(&database).await;
    let seen = format!("select revision from postq.jobs where id = '{job}'");
    let before: i64 = database.value(&seen).await;
    let a = take(&database, "9").await;
    database.execute(&a.ack()).await;
    sweep(&database).await;
    let after: i64 = database.value(&seen).await;
    assert!(after > before);
    let task = format!("select revision from postq.task where job = '{job}' and n = 0");
    assert!(database.value::<i64>(&task).await > before);
}

/// Many at once, of jobs of one task and of others, and dead letters: those that count are told, and
/// what is not the caller's any more is left alone.
#[tokio::test]
async fn many_tasks_are_acked_at_once_but_those_that_are_not_the_callers_any_more() {
    let database = Database::create().await;
    let graph = submit(&database).await;
    for n in 0..3 {
        publish(&database, &format!("'mail', '{{\"n\": {n}}}', max_retries => 1")).await;
    }
    let mut taken = consume(&database.pool, "9").await;
    assert_eq!(taken.len(), 4);
    let dead = taken.iter().position(|one| one.id != graph).map(|at| taken.remove(at)).unwrap();
    database.execute(&dead.nack("no")).await;
    let letter = take(&database, "1, 'dlq@default'").await;
    let released = taken.iter().position(|one| one.id != graph).unwrap();
    database.execute(&taken[released].release()).await;

    let all: Vec<_> = taken.iter().chain([&letter]).collect();
    let ids: Vec<_> = all.iter().map(|one| format!("'{}'::uuid", one.id)).collect();
    let attempts: Vec<_> = all.iter().map(|one| one.attempt.to_string()).collect();
    let results: Vec<_> = (0..all.len()).map(|n| format!("'{{\"n\": {n}}}'::jsonb")).collect();
    let ack = format!(
        "select coalesce(array_agg(attempt order by attempt), '{{}}') from postq.ack_many(array[{}], array[{}], array[{}])",
        ids.join(", "),
        attempts.join(", "),
        results.join(", ")
    );
    let mut counted: Vec<i64> = all.iter().map(|one| one.attempt).collect();
    counted.retain(|attempt| *attempt != taken[released].attempt);
    counted.sort_unstable();
    assert_eq!(database.value::<Vec<i64>>(&ack).await, counted);
    assert_eq!(database.value::<Vec<i64>>(&ack).await, Vec::<i64>::new(), "a second time");
    for (n, one) in taken.iter().enumerate() {
        let result = format!(
            "select coalesce((select result from postq.attempt where id = {}), 'null')",
            one.attempt
        );
        let wanted = if n == released { json!(null) } else { json!({"n": n}) };
        assert_eq!(database.json(&result).await, wanted);
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.dead_letters").await, 0);
    assert_eq!(database.states(graph).await, "a succeeded, b ready, c blocked, d blocked");
    sweep(&database).await;
    assert_eq!(take(&database, "1").await.id, taken[released].id);
    let finished = "select count(*) from postq.jobs where state = 'succeeded'";
    assert_eq!(database.value::<i64>(finished).await, 1);

    let other = publish(&database, "'c'").await;
    let last = take(&database, "1").await;
    let mixed = format!(
        "select coalesce(array_agg(id), '{{}}') from postq.ack_many(array['{}', '{other}']::uuid[], array[{1}, {1}])",
        Uuid::now_v7(),
        last.attempt
    );
    assert_eq!(database.value::<Vec<Uuid>>(&mixed).await, [last.id], "told by job and attempt");

    for refused in [
        "array[]::uuid[], array[1]::bigint[]",
        "array_fill(postq.new_id(), array[10001]), array_fill(1::bigint, array[10001])",
    ] {
        assert_eq!(code(&database, &format!("select postq.ack_many({refused})")).await, "PQ005");
    }
}
