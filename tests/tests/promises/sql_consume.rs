//! Publish, consume, ack and nack by SQL, on a database that has only the migrations.

use postq_tests::Database;
use serde_json::json;
use uuid::Uuid;

use crate::consumer::{code, consume, publish, refused, state, take};

/// PJ1, PJ16: the defaults of publish are those of its documentation; null means the default.
#[tokio::test]
async fn what_is_left_out_of_a_publish_takes_its_default() {
    let database = Database::create().await;
    publish(&database, "'mail'").await;
    publish(&database, "'mail', null, null, null, null, null, null, null").await;
    let bulk = "select count(*) from postq.publish_bulk(array[row('mail', null, null, null, null, null, null, null)::postq.bulk_job])";
    assert_eq!(database.value::<i64>(bulk).await, 1);
    let rows: Vec<String> = database
        .value(
            "select array_agg(format('%s %s %s %s %s', j.queue, j.priority, s.max_attempts, s.spec ->> 'timeout', j.state))
             from postq.job j join postq.task_spec s on s.job = j.id",
        )
        .await;
    assert_eq!(rows, ["default 0 3 60s queued"; 3]);
    let taken = consume(&database.pool, "3").await;
    assert_eq!(taken.len(), 3);
    let lease =
        "select bool_and(lease_until - started_at between '59.9 s' and '65 s') from postq.running";
    assert!(database.value::<bool>(lease).await);
}

/// JQ4, PJ4, PJ5, PJ6, PT19: consume, ack and what is seen of it.
#[tokio::test]
async fn a_job_is_published_consumed_once_and_acked_with_its_result() {
    let database = Database::create().await;
    let job = publish(
        &database,
        "'mail.send', '[1, {\"to\": \"x\"}]', attributes => '{\"team\": \"a\"}'",
    )
    .await;
    assert_eq!(state(&database, job).await, "queued");
    let taken = take(&database, "5").await;
    assert_eq!((taken.id, taken.task.as_str(), taken.attempts), (job, "mail.send", 1));
    assert_eq!(taken.arguments.as_ref().unwrap().0, json!([1, {"to": "x"}]));
    assert_eq!(taken.attributes.0, json!({"team": "a"}));
    assert_eq!(state(&database, job).await, "running");
    assert!(consume(&database.pool, "5").await.is_empty(), "it is taken");
    database
        .execute(&format!("select postq.ack('{job}', {}, '{{\"sent\": 2}}')", taken.attempt))
        .await;
    assert_eq!(state(&database, job).await, "succeeded");
    let result = "select result from postq.tasks";
    assert_eq!(database.json(result).await, json!({"sent": 2}));
    let history = "select outcome::text from postq.attempt";
    assert_eq!(database.value::<String>(history).await, "succeeded");
    assert_eq!(code(&database, &taken.ack()).await, "PQ004");
}

/// PJ5: a consumer chooses tasks by LIKE.
#[tokio::test]
async fn a_consumer_takes_only_the_tasks_that_it_asks_for() {
    let database = Database::create().await;
    for task in ["task.a", "task.b", "other", "task%"] {
        publish(&database, &format!("'{task}'")).await;
    }
    assert!(consume(&database.pool, "9, tasks => '{xxxx%}'").await.is_empty());
    let taken = consume(&database.pool, r"9, tasks => '{task.%}'").await;
    let tasks: Vec<&str> = taken.iter().map(|one| one.task.as_str()).collect();
    assert_eq!(tasks, ["task.a", "task.b"]);
    let taken = consume(&database.pool, r#"9, tasks => array['oth__', 'task\%']"#).await;
    let tasks: Vec<&str> = taken.iter().map(|one| one.task.as_str()).collect();
    assert_eq!(tasks, ["other", "task%"]);
}

/// PJ14, DQ7: greater priorities first, and null is 0.
#[tokio::test]
async fn greater_priorities_come_first() {
    let database = Database::create().await;
    for priority in ["-5", "null", "10", "7"] {
        publish(&database, &format!("'p', priority => {priority}")).await;
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(take(&database, "1").await.priority);
    }
    assert_eq!(order, [10, 7, 0, -5]);
    for priority in [5, 5, 0, -3] {
        publish(&database, &format!("'p', priority => {priority}")).await;
    }
    let order: Vec<i32> =
        consume(&database.pool, "9").await.iter().map(|one| one.priority).collect();
    assert_eq!(order, [5, 5, 0, -3]);
}

/// PJ15, JQ33: first come, first served within a priority, whatever the task.
#[tokio::test]
async fn equal_jobs_are_consumed_in_the_order_of_their_publishing() {
    let database = Database::create().await;
    let mut published = Vec::new();
    for n in 0..100 {
        published.push(publish(&database, &format!("'task{}'", n % 7)).await);
    }
    let mut consumed: Vec<Uuid> = Vec::new();
    while consumed.len() < 100 {
        let taken = consume(&database.pool, "9").await;
        assert!(!taken.is_empty() && taken.len() <= 9);
        consumed.extend(taken.iter().map(|one| one.id));
    }
    assert_eq!(consumed, published);
}

/// PJ13, DQ8: a job is not offered before its time, and then in its turn.
#[tokio::test]
async fn a_scheduled_job_waits_for_its_time() {
    let database = Database::create().await;
    let later = publish(&database, "'later', scheduled_at => postq.now() + interval '5 s'").await;
    assert_eq!(state(&database, later).await, "scheduled");
    publish(&database, "'past', scheduled_at => postq.now() - interval '1 day'").await;
    assert_eq!(take(&database, "9").await.task, "past");
    database.advance_clock("4 s").await;
    assert!(consume(&database.pool, "9").await.is_empty());
    database.advance_clock("2 s").await;
    publish(&database, "'after'").await;
    let taken = take(&database, "1").await;
    assert_eq!(taken.id, later, "it fell due before the other was published");
    assert_eq!(state(&database, later).await, "running");
    database.execute(&taken.ack()).await;
    assert_eq!(state(&database, later).await, "succeeded");
    assert_eq!(take(&database, "9").await.task, "after");
}

/// PJ9, PJ10, JQ5: three executions, 3 s and 6 s apart, then failed; every error is kept.
#[tokio::test]
async fn a_failed_task_is_offered_again_after_3_and_6_seconds_and_then_has_failed() {
    let database = Database::create().await;
    let job = publish(&database, "'mail'").await;
    for (nth, pause) in [(1, "3 s"), (2, "6 s"), (3, "")] {
        let taken = take(&database, "9").await;
        assert_eq!(taken.attempts, nth);
        database.execute(&taken.nack(&format!("error {nth}"))).await;
        if !pause.is_empty() {
            let waits = format!(
                "select run_at - postq.now() between interval '{pause}' - interval '2 s' and '{pause}' from postq.scheduled"
            );
            assert!(database.value::<bool>(&waits).await, "{nth}");
            assert!(consume(&database.pool, "9").await.is_empty());
            database.advance_clock(pause).await;
        }
    }
    database.advance_clock("1 hour").await;
    assert!(consume(&database.pool, "9").await.is_empty());
    assert_eq!(state(&database, job).await, "failed");
    let errors: Vec<String> = database
        .value("select array_agg(convert_from(errors, 'UTF8') order by id) from postq.attempt")
        .await;
    assert_eq!(errors, ["error 1", "error 2", "error 3"]);
    let reason: String = database.value("select reason from postq.job").await;
    assert_eq!(reason, "task \"mail\" failed: error 3");
}

/// JQ42: fixed, exponential and capped pauses.
#[tokio::test]
async fn the_pauses_between_attempts_can_be_chosen() {
    let database = Database::create().await;
    for (arguments, pauses) in [
        ("factor => 1, backoff => '1 s'", [1, 1, 1]),
        ("factor => 2, backoff => '2 s'", [2, 4, 8]),
        ("factor => 1.5, backoff => '4 s'", [4, 6, 9]),
        ("backoff => '10 s', max_backoff => '15 s'", [10, 15, 15]),
        ("backoff => '0 s'", [0, 0, 0]),
    ] {
        publish(&database, &format!("'a', max_retries => 4, {arguments}")).await;
        for pause in pauses {
            let taken = take(&database, "1").await;
            let mut session = database.session().await;
            session.execute(&format!("begin; {}", taken.nack("no"))).await;
            let waits = "select round(extract(epoch from s.run_at - a.finished_at))::int
                 from postq.scheduled s join postq.attempt a on a.job = s.job order by a.id desc limit 1";
            assert_eq!(session.value::<i32>(waits).await, pause, "{arguments}");
            session.execute("commit").await;
            database.advance_clock(&format!("{pause} s")).await;
        }
        database.execute(&take(&database, "1").await.ack()).await;
    }
}

/// PJ7: a nack may say when to try again, and keeps the whole error.
#[tokio::test]
async fn a_nack_may_name_the_time_of_the_next_attempt() {
    let database = Database::create().await;
    publish(&database, "'mail'").await;
    let taken = take(&database, "1").await;
    let traceback = "Traceback\n  line 1\nValueError: ü";
    database
        .execute(&format!(
            "select postq.nack('{}', {}, '{traceback}', postq.now() + interval '1 day')",
            taken.id, taken.attempt
        ))
        .await;
    let kept: String =
        database.value("select convert_from(errors, 'UTF8') from postq.attempt").await;
    assert_eq!(kept, traceback);
    database.advance_clock("23 hours").await;
    assert!(consume(&database.pool, "1").await.is_empty());
    database.advance_clock("1 hour").await;
    let taken = take(&database, "1").await;
    let now = format!("select postq.nack('{}', {}, 'x', '-infinity')", taken.id, taken.attempt);
    database.execute(&now).await;
    assert_eq!(take(&database, "1").await.attempts, 3);
}

/// PJ8, JQ38: words about what is unknown or over are refused with their own SQLSTATE.
#[tokio::test]
async fn words_about_unknown_jobs_and_ended_attempts_are_refused() {
    let database = Database::create().await;
    let unknown = Uuid::now_v7();
    for verb in [
        format!("ack('{unknown}', 1)"),
        format!("nack('{unknown}', 1)"),
        format!("renew('{unknown}', 1)"),
        format!("release('{unknown}', 1)"),
        format!("redrive('{unknown}')"),
    ] {
        assert_eq!(code(&database, &format!("select postq.{verb}")).await, "PQ003", "{verb}");
    }
    let job = publish(&database, "'mail'").await;
    let stale = format!("select postq.ack('{job}', 1)");
    assert_eq!(code(&database, &stale).await, "PQ004", "nobody has consumed it");
    let taken = take(&database, "1").await;
    database.execute(&taken.nack("no")).await;
    for verb in [taken.ack(), taken.nack("again"), taken.renew("1 s"), taken.release()] {
        let (code, message) = refused(&database, &verb).await;
        assert_eq!(code, "PQ004", "{verb}");
        assert!(message.ends_with("has ended: failed"), "{message}");
    }
}

/// What is not sensible is refused and stores nothing.
#[tokio::test]
async fn bad_arguments_are_refused() {
    let database = Database::create().await;
    for call in [
        "publish('')",
        "publish(null)",
        "publish('a/b')",
        "publish(repeat('a', 256))",
        "publish('a', priority => 1001)",
        "publish('a', timeout => '0 s')",
        "publish('a', timeout => '-1 s')",
        "publish('a', timeout => '20 years')",
        "publish('a', max_retries => 0)",
        "publish('a', max_retries => -2)",
        "publish('a', queue => 'dlq@a')",
        "publish('a', attributes => '[]')",
        "publish('a', '9007199254740993')",
        "publish('a', backoff => '-1 s')",
        "publish('a', factor => 0.5)",
        "publish('a', factor => 'NaN')",
        "publish('a', to_jsonb(repeat('a', 2097153)))",
        "publish_bulk(array[row('a',null,null,null,null,null,null,null), row('',null,null,null,null,null,null,null)]::postq.bulk_job[])",
        "consume(0)",
        "consume(-1)",
        "consume(null)",
        "consume(10001)",
        "consume(1, null)",
        "consume(1, tasks => '{}')",
        "consume(1, lease => '0 s')",
        "consume(1, delivery => 'twice')",
        "listen(null)",
        "listen('')",
        "redrive_all('a', 0)",
    ] {
        assert_eq!(code(&database, &format!("select postq.{call}")).await, "PQ005", "{call}");
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.job").await, 0);
}

/// PJ2, PJ26, DQ1, PJ11, PJ12: from a trigger, inside the application's transaction.
#[tokio::test]
async fn a_publish_lives_and_dies_with_the_transaction_that_made_it() {
    let database = Database::create().await;
    database
        .execute(
            "create table orders (id int);
             create function ship() returns trigger language plpgsql as $$
             begin
                 perform postq.publish('ship', jsonb_build_object('order', new.id), timeout => '0.25 s');
                 return new;
             end $$;
             create trigger ship after insert on orders for each row execute function ship()",
        )
        .await;
    let mut session = database.session().await;
    session.execute("begin; insert into orders values (1); rollback").await;
    assert!(consume(&database.pool, "1").await.is_empty());
    session.execute("begin; insert into orders values (2)").await;
    assert!(consume(&database.pool, "1").await.is_empty(), "not committed");
    session.execute("commit").await;
    let taken = take(&database, "1").await;
    assert_eq!(taken.arguments.unwrap().0, json!({"order": 2}));
    let lease = "select lease_until - started_at < interval '5.5 s' from postq.running";
    assert!(database.value::<bool>(lease).await, "a fraction of a second is a lease");
}

/// JQ50, PJ18: thousands of jobs by INSERT ... SELECT; what is live is small once they are done.
#[tokio::test]
async fn ten_thousand_jobs_are_published_by_one_insert_from_a_query() {
    let database = Database::create().await;
    database
        .execute(
            "create table sent (id int, job uuid);
             insert into sent
             select n, postq.publish('mail', jsonb_build_object('n', n)) from generate_series(1, 10000) n",
        )
        .await;
    assert_eq!(database.value::<i64>("select postq.queue_depth('default')").await, 10_000);
    let acked: i64 = database
        .value("select count(*) from postq.consume(10000) c cross join lateral postq.ack(c.id, c.attempt)")
        .await;
    assert_eq!(acked, 10_000);
    assert_eq!(database.value::<i64>("select postq.queue_depth('default')").await, 0);
    let live = "select (select count(*) from postq.ready) + (select count(*) from postq.scheduled)
        + (select count(*) from postq.open_attempt)";
    assert_eq!(database.value::<i64>(live).await, 0);
    let done = "select count(*) from sent join postq.jobs j on j.id = sent.job where j.state = 'succeeded'";
    assert_eq!(database.value::<i64>(done).await, 10_000);
}

/// PJ16: many at once, in the order given.
#[tokio::test]
async fn jobs_published_in_bulk_come_in_the_order_given() {
    let database = Database::create().await;
    let ids: Vec<Uuid> = database
        .value(
            "select array_agg(id) from postq.publish_bulk((
                 select array_agg(row('bulk', to_jsonb(n), null, '2 s', 3, 1, 'many', '{\"a\": 1}')::postq.bulk_job order by n)
                 from generate_series(1, 10) n)) id",
        )
        .await;
    let taken = consume(&database.pool, "20, 'many'").await;
    assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    let bodies: Vec<_> =
        taken.iter().map(|one| one.arguments.as_ref().unwrap().0.clone()).collect();
    assert_eq!(bodies, (1..=10).map(|n| json!(n)).collect::<Vec<_>>());
    assert!(taken.iter().all(|one| one.priority == 3 && one.attributes.0 == json!({"a": 1})));
}

/// An id minted by the caller makes publish repeatable.
#[tokio::test]
async fn a_publish_under_the_same_id_is_the_same_job() {
    let database = Database::create().await;
    let id = Uuid::now_v7();
    for _ in 0..2 {
        assert_eq!(publish(&database, &format!("'a', '1', id => '{id}'")).await, id);
    }
    assert_eq!(
        code(&database, &format!("select postq.publish('a', '2', id => '{id}')")).await,
        "PQ001"
    );
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

/// PJ17, DQ9, DQ10: what runs, what is late and how much waits, by plain SQL.
#[tokio::test]
async fn the_views_tell_what_waits_runs_and_is_late() {
    let database = Database::create().await;
    for task in ["waits", "late", "runs"] {
        publish(&database, &format!("'{task}'")).await;
    }
    publish(&database, "'later', scheduled_at => postq.now() + interval '1 day'").await;
    take(&database, "1, tasks => '{late}', lease => '1 s'").await;
    take(&database, "1, tasks => '{runs}', lease => '1 hour'").await;
    database.advance_clock("10 s").await;
    let names = |view: &str| format!("select array_agg(task order by task) from postq.{view}");
    assert_eq!(database.value::<Vec<String>>(&names("running")).await, ["late", "runs"]);
    assert_eq!(database.value::<Vec<String>>(&names("expired")).await, ["late"]);
    let stats = "select to_jsonb(q) - '{oldest_ready_at,parked,jobs,is_paused,max_running,max_jobs,rate_limit,rate_period}'::text[] from postq.queue_stats q";
    let wanted =
        json!({"queue": "default", "ready": 1, "scheduled": 1, "running": 2, "dead_letters": 0});
    assert_eq!(database.json(stats).await, wanted);
    let age = "select oldest_ready_at < postq.now() - interval '9 s' from postq.queue_stats";
    assert!(database.value::<bool>(age).await);
    let counts = "select jsonb_object_agg(state, count) from (select state, count(*) from postq.jobs group by state) s";
    assert_eq!(database.json(counts).await, json!({"queued": 1, "running": 2, "scheduled": 1}));
}

/// A cancel needs no coordinator where the job has one task and was not started.
#[tokio::test]
async fn a_consumer_applies_the_cancels_of_its_queue() {
    let database = Database::create().await;
    let ready = publish(&database, "'ready'").await;
    let later = publish(&database, "'later', scheduled_at => postq.now() + interval '1 day'").await;
    let kept = publish(&database, "'kept'").await;
    for job in [ready, later] {
        database.execute(&format!("select postq.cancel('{job}')")).await;
    }
    assert_eq!(take(&database, "9").await.id, kept);
    for job in [ready, later] {
        assert_eq!(state(&database, job).await, "cancelled");
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.inbox").await, 0);
}

/// PQ31: the empty name means the default queue, as in a job document.
#[tokio::test]
async fn a_queue_without_a_name_is_the_default_one() {
    let database = Database::create().await;
    let id: Uuid = database.value("select postq.publish('a', queue => '')").await;
    let bulk =
        "postq.publish_bulk(array[row('b',null,null,null,null,null,'',null)]::postq.bulk_job[])";
    let other: Uuid = database.value(&format!("select {bulk}")).await;
    let taken: Vec<Uuid> =
        database.value("select array_agg(c.id) from postq.consume(5, queue => '') c").await;
    assert_eq!(taken, [id, other]);
}
