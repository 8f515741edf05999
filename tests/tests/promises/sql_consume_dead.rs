//! Dead letters: what failed for good is kept, consumed, tried once more or purged.

use std::sync::Arc;

use postq_tests::{Database, Graph, Task, Worker};
use serde_json::json;

use tokio::sync::Barrier;

use crate::consumer::{Taken, code, consume, publish, state, take};

/// Publishes a job and lets all its attempts fail.
async fn kill(database: &Database, arguments: &str) -> Taken {
    let job = publish(database, &format!("{arguments}, max_retries => 2, backoff => '0 s'")).await;
    let queue: String =
        database.value(&format!("select queue from postq.job where id = '{job}'")).await;
    let mut last = None;
    for n in 1..=2 {
        let taken = take(database, &format!("1, '{queue}'")).await;
        assert_eq!(taken.id, job);
        database.execute(&taken.nack(&format!("error {n}"))).await;
        last = Some(taken);
    }
    last.unwrap()
}

/// JQ12, PT17: same id, arguments and attributes; ack removes it; the job stays failed.
#[tokio::test]
async fn a_dead_letter_is_consumed_with_all_it_had_and_acked_away() {
    let database = Database::create().await;
    let dead =
        kill(&database, "'mail', '{\"to\": \"x\"}', attributes => '{\"team\": \"a\"}'").await;
    let history = "select history from postq.dead_letters";
    let errors: Vec<_> = database
        .json(history)
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["outcome"].clone(), one["reason"].clone()))
        .collect();
    assert_eq!(errors, [(json!("failed"), json!("error 1")), (json!("failed"), json!("error 2"))]);
    let taken = take(&database, "9, 'dlq@default'").await;
    assert_eq!((taken.id, taken.task.as_str()), (dead.id, "mail"));
    assert_eq!(taken.arguments.as_ref().unwrap().0, json!({"to": "x"}));
    assert_eq!(taken.attributes.0, json!({"team": "a"}));
    assert!(taken.attempt > dead.attempt, "its fence is from the same sequence");
    assert!(consume(&database.pool, "9, 'dlq@default'").await.is_empty(), "it is taken");
    assert_eq!(code(&database, &dead.ack()).await, "PQ004");
    database.execute(&taken.ack()).await;
    assert_eq!(code(&database, &taken.ack()).await, "PQ004");
    assert_eq!(database.value::<i64>("select count(*) from postq.dead_letters").await, 0);
    assert_eq!(state(&database, dead.id).await, "failed");
}

/// Two at once want a dead letter: one of them has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_redriven_consumed_or_purged_by_one_only() {
    let redrive = "select count(*) from postq.redrive_all('default')";
    let consume = "select count(*) from postq.consume(1, 'dlq@default')";
    let purge = "select postq.purge('default')";
    let database = Database::create().await;
    for (one, other) in [
        (redrive, redrive),
        (redrive, consume),
        (consume, consume),
        (redrive, purge),
        (consume, purge),
    ] {
        for _ in 0..20 {
            let dead = kill(&database, "'mail'").await;
            let start = Arc::new(Barrier::new(2));
            let mut both = Vec::new();
            for statement in [one, other] {
                let (mut session, start) = (database.session().await, Arc::clone(&start));
                both.push(tokio::spawn(async move {
                    start.wait().await;
                    session.value::<i64>(statement).await
                }));
            }
            let mut had = 0;
            for one in both {
                had += one.await.unwrap();
            }
            assert_eq!(had, 1, "{one}; {other}");
            let again =
                format!("select count(*) from postq.job_spec where retry_of = '{}'", dead.id);
            let has_again = database.value::<i64>(&again).await;
            assert!(has_again <= 1, "{has_again} new jobs");
            let clear = "select postq.cancel_matching(queue => 'default'); select postq.sweep(); select postq.sweep();
                         delete from postq.dead_letter";
            database.execute(clear).await;
        }
    }
}

/// JQ12: nack puts it back, at once or at a time; so do a release and the end of its lease.
#[tokio::test]
async fn a_dead_letter_that_is_not_acked_comes_back() {
    let database = Database::create().await;
    let dead = kill(&database, "'mail'").await;
    let first = take(&database, "1, 'dlq@default'").await;
    database.execute(&first.nack("not now")).await;
    let second = take(&database, "1, 'dlq@default'").await;
    database.execute(&second.release()).await;
    let third = take(&database, "1, 'dlq@default', lease => '5 s'").await;
    database.execute(&third.renew("20 s")).await;
    database.advance_clock("19 s").await;
    assert!(consume(&database.pool, "1, 'dlq@default'").await.is_empty());
    database.advance_clock("2 s").await;
    let fourth = take(&database, "1, 'dlq@default'").await;
    for stale in [first, second, third] {
        assert_eq!(code(&database, &stale.ack()).await, "PQ004");
    }
    let later = format!(
        "select postq.nack('{}', {}, null, postq.now() + interval '1 day')",
        fourth.id, fourth.attempt
    );
    database.execute(&later).await;
    assert!(consume(&database.pool, "1, 'dlq@default'").await.is_empty());
    database.advance_clock("1 day").await;
    let fifth = take(&database, "1, 'dlq@default'").await;
    assert_eq!(fifth.id, dead.id);
    let job = "select state::text || ' ' || revision from postq.jobs";
    let before: String = database.value(job).await;
    database.execute(&fifth.ack()).await;
    assert_eq!(database.value::<String>(job).await, before, "the ended job is not touched");
}

/// JQ13: each queue has its own.
#[tokio::test]
async fn dead_letters_of_one_queue_are_not_offered_in_another() {
    let database = Database::create().await;
    let mut dead = Vec::new();
    for queue in ["a", "b", "c"] {
        dead.push(kill(&database, &format!("'mail', queue => '{queue}'")).await.id);
    }
    for (queue, id) in ["a", "b", "c"].iter().zip(dead) {
        assert_eq!(
            database.value::<i64>(&format!("select postq.queue_depth('dlq@{queue}')")).await,
            1
        );
        let taken = consume(&database.pool, &format!("9, 'dlq@{queue}'")).await;
        assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    }
    assert!(consume(&database.pool, "9, 'dlq@default'").await.is_empty());
}

/// A redrive is a new job that remembers the old one.
#[tokio::test]
async fn a_redriven_dead_letter_is_a_new_job_with_all_its_attempts() {
    let database = Database::create().await;
    let dead = kill(
        &database,
        "'mail', '7', priority => 4, queue => 'q', attributes => '{\"a\": 1}', timeout => '5 s'",
    )
    .await;
    let held = take(&database, "1, 'dlq@q'").await;
    assert_eq!(code(&database, &format!("select postq.redrive('{}')", dead.id)).await, "PQ006");
    database.execute(&held.release()).await;
    let again: uuid::Uuid = database.value(&format!("select postq.redrive('{}')", dead.id)).await;
    assert_eq!(code(&database, &format!("select postq.redrive('{}')", dead.id)).await, "PQ003");
    let of = format!("select retry_of from postq.jobs where id = '{again}'");
    assert_eq!(database.value::<uuid::Uuid>(&of).await, dead.id);
    for n in 1..=2 {
        let taken = take(&database, "1, 'q'").await;
        assert_eq!((taken.id, taken.attempts, taken.priority), (again, n, 4));
        assert_eq!(
            (taken.arguments.as_ref().unwrap().0.clone(), taken.attributes.0.clone()),
            (json!(7), json!({"a": 1}))
        );
        database.execute(&taken.nack("no")).await;
    }
    assert_eq!(state(&database, dead.id).await, "failed");
    let letters: Vec<uuid::Uuid> =
        database.value("select array_agg(id) from postq.dead_letters").await;
    assert_eq!(letters, [again]);
}

#[tokio::test]
async fn dead_letters_are_redriven_and_purged_by_queue() {
    let database = Database::create().await;
    for n in 0..5 {
        kill(&database, &format!("'mail', '{n}'")).await;
    }
    kill(&database, "'mail', queue => 'other'").await;
    let redriven = "select count(*) from postq.redrive_all('default', 2)";
    assert_eq!(database.value::<i64>(redriven).await, 2);
    let order: Vec<_> = consume(&database.pool, "9")
        .await
        .iter()
        .map(|one| one.arguments.as_ref().unwrap().0.clone())
        .collect();
    assert_eq!(order, [json!(0), json!(1)], "the oldest first");
    let held = take(&database, "1, 'dlq@default'").await;
    assert_eq!(database.value::<i64>("select postq.purge('default')").await, 2);
    database.execute(&held.ack()).await;
    assert_eq!(database.value::<i64>("select count(*) from postq.dead_letters").await, 1);
}

/// What agents executed dies in the same way.
#[tokio::test]
async fn what_fails_or_is_lost_on_agents_becomes_a_dead_letter_too() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let failed = Graph::default().with("a", Task::after([])).admit(&database).await;
    worker.work(&database, |_| "failed").await;
    let lost = Graph::default().with("a", Task::after([])).admit(&database).await;
    worker.work(&database, |_| "lost").await;
    let cancelled = Graph::default().with("a", Task::after([])).admit(&database).await;
    database.execute(&format!("select postq.cancel('{cancelled}')")).await;
    database.execute("select postq.apply_inbox(0, 100)").await;
    let letters: Vec<uuid::Uuid> =
        database.value("select array_agg(id order by died_at) from postq.dead_letters").await;
    assert_eq!(letters, [failed, lost]);
    let attempts: Vec<i32> =
        database.value("select array_agg(attempts order by died_at) from postq.dead_letters").await;
    assert_eq!(attempts, [1, 5]);
    let redriven: uuid::Uuid = database.value(&format!("select postq.redrive('{lost}')")).await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 1);
    assert_eq!(state(&database, redriven).await, "succeeded");
}

/// Who knows that trying again cannot help says so.
#[tokio::test]
async fn a_nack_that_is_final_ends_a_task_that_has_attempts_left() {
    let database = Database::create().await;
    let job = publish(&database, "'h', max_retries => 9").await;
    let taken = take(&database, "1").await;
    let nack = |rest: &str| {
        format!("select postq.nack('{}', {}, 'no such order', {rest})", taken.id, taken.attempt)
    };
    let both = nack("retry_at => now(), is_final => true");
    assert_eq!(code(&database, &both).await, "PQ005");
    assert_eq!(state(&database, job).await, "running", "nothing is half-done");
    database.execute(&nack("is_final => true")).await;
    assert_eq!(state(&database, job).await, "failed");
    let letter = database.json("select to_jsonb(d) from postq.dead_letters d").await;
    assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("no such order"), &json!(1)));
    let taken = take(&database, "1, 'dlq@default'").await;
    let nack = format!("select postq.nack('{}', {}, is_final => true)", taken.id, taken.attempt);
    database.execute(&nack).await;
    take(&database, "1, 'dlq@default'").await;
}
