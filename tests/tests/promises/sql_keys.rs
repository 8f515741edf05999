//! Concurrency keys and rates: never more than a key allows, whoever starts tasks and however they
//! end, and nobody is forgotten.

use postq_tests::{Database, End, Worker, finish_on};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{consume, state, take, take_on};

fn keyed(key: &str, limit: i32) -> Value {
    json!({"tasks": {"a": {"handler": "work", "concurrency": {"key": key, "limit": limit}}}})
}

fn shell(key: &str, limit: i32) -> Value {
    json!({"tasks": {"a": {"command": "x", "crash_limit": 1000, "retry": {"max_attempts": 1000, "backoff": "0s"},
                           "concurrency": {"key": key, "limit": limit}}}})
}

/// A task that waits for its key is parked and says for which.
#[tokio::test]
async fn at_most_so_many_of_a_key_run_at_a_time() {
    let database = Database::create().await;
    for _ in 0..4 {
        database.submit(&keyed("customer 7", 2)).await.unwrap();
    }
    let first = consume(&database.pool, "9").await;
    assert_eq!(first.len(), 2);
    let look = "select state::text || ': ' || reason from postq.tasks where state not in ('running', 'succeeded') limit 1";
    let wanted =
        "parked: waits for its concurrency key \"customer 7\", of which 2 may run at a time";
    assert_eq!(database.value::<String>(look).await, wanted);
    assert!(consume(&database.pool, "9").await.is_empty());
    database.execute(&first[0].ack()).await;
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
    // Whoever gives it back, or fails, or is cancelled leaves the slot too.
    database.execute(&first[1].release()).await;
    let again = take(&database, "9").await;
    database.execute(&format!("select postq.cancel('{}'); select postq.sweep()", again.id)).await;
    database.execute(&again.nack("no")).await;
    assert_eq!(state(&database, again.id).await, "cancelled");
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

/// A key with a long line is in nobody's way.
#[tokio::test]
async fn keys_are_served_side_by_side() {
    let database = Database::create().await;
    for _ in 0..300 {
        database.submit(&keyed("loud", 1)).await.unwrap();
    }
    database.submit(&keyed("quiet", 1)).await.unwrap();
    assert_eq!(consume(&database.pool, "9").await.len(), 2);
    database.execute("select postq.sweep()").await;
    // With a coordinator, too: of each key one is ready.
    let worker = Worker::connect(&database).await;
    for key in ["left", "right"] {
        for _ in 0..50 {
            database.submit(&shell(key, 1)).await.unwrap();
        }
    }
    database.execute("select postq.grant_parked('', 100)").await;
    assert_eq!(worker.claim(&database, 100).await.len(), 2);
}

/// Two keys with long lines and room for many leave a third one its turn: consumers come upon the keys by
/// chance, and an agent's tasks stand in one line, in which a key has no more than its limit.
#[tokio::test]
async fn a_quiet_key_has_its_turn_beside_long_lines_with_large_limits() {
    let database = Database::create().await;
    for (key, count) in [("loud", 300), ("louder", 300), ("quiet", 3)] {
        for document in [keyed(key, 50), shell(&format!("of shells, {key}"), 50)] {
            let many = "select count(*) from postq.submit_many(array(select $1::jsonb from generate_series(1, $2)))";
            let many = sqlx::query(many).bind(document).bind(count);
            many.execute(&database.pool).await.unwrap();
        }
    }
    let left = async |key: &str| -> i64 {
        let open = format!(
            "select count(*) from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n
             where s.concurrency_key = '{key}' and t.finished_at is null"
        );
        database.value(&open).await
    };
    while left("quiet").await > 0 {
        let taken = consume(&database.pool, "10").await;
        assert_eq!(taken.len(), 10, "there is more than enough");
        database.execute("select postq.ack(job, attempt) from postq.open_attempt").await;
    }
    assert!(left("loud").await > 0 && left("louder").await > 0, "it came last");
    let worker = Worker::connect(&database).await;
    database.execute("select postq.grant_parked('', 100)").await;
    while left("of shells, quiet").await > 0 {
        let claimed = worker.claim(&database, 10).await;
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        worker.finish(&database, &ends).await;
    }
    assert!(
        left("of shells, loud").await > 150 && left("of shells, louder").await > 150,
        "it came late"
    );
}

/// Where tasks with one key differ, each looks at its own limit.
#[tokio::test]
async fn each_task_looks_at_its_own_limit() {
    let database = Database::create().await;
    for _ in 0..3 {
        database.submit(&keyed("k", 3)).await.unwrap();
    }
    assert_eq!(consume(&database.pool, "9").await.len(), 3);
    database.submit(&keyed("k", 2)).await.unwrap();
    let open = "select postq.ack(job, attempt) from postq.open_attempt order by attempt limit 1";
    database.execute(open).await;
    assert!(consume(&database.pool, "9").await.is_empty(), "two still run");
    database.execute(open).await;
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

/// A cancelled task leaves the line, and its slot where it had one.
#[tokio::test]
async fn what_is_cancelled_leaves_its_key() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(database.submit(&shell("k", 1)).await.unwrap());
    }
    database.execute("select postq.grant_parked('', 100)").await;
    for cancelled in &jobs[..2] {
        database.execute(&format!("select postq.cancel('{cancelled}')")).await;
        database.execute("select postq.apply_inbox(0, 100)").await;
        assert_eq!(state(&database, *cancelled).await, "cancelled");
    }
    let line: i64 = database.value("select count(*) from postq.parked").await;
    assert_eq!(line, 0, "what is cancelled is not counted as waiting; the last one has the key");
    let claimed = worker.claim(&database, 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job, jobs[2]);
    database.execute("select postq.grant_parked('', 100)").await;
    assert_eq!(database.value::<i64>("select count(*) from postq.parked").await, 0);
}

/// At most so many start within any period: the third after the first's period is over.
#[tokio::test]
async fn at_most_so_many_of_a_rate_start_within_a_period() {
    let database = Database::create().await;
    let document = json!({"tasks": {"a": {"handler": "call", "rate": {"key": "api", "limit": 2, "period": "10s"}}}});
    for _ in 0..5 {
        database.submit(&document).await.unwrap();
    }
    assert_eq!(consume(&database.pool, "9").await.len(), 2);
    let look = "select distinct reason from postq.tasks where state = 'parked'";
    let wanted = "waits for its rate \"api\", of which 2 may start within 10 s";
    assert_eq!(database.value::<String>(look).await, wanted);
    // However they end.
    database.execute("select postq.ack(job, attempt) from postq.open_attempt").await;
    database.advance_clock("9 s").await;
    assert!(consume(&database.pool, "9").await.is_empty());
    let next: i64 =
        database.value("select (postq.grant_parked('', 9) ->> 'next_ms')::bigint").await;
    assert!((1..=1000).contains(&next), "{next} ms until the next");
    database.advance_clock("1 s").await;
    assert_eq!(consume(&database.pool, "9").await.len(), 2);
    database.advance_clock("10 s").await;
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

/// What is ready by its rate and waits for an agent counts from its start, not from before.
#[tokio::test]
async fn a_rate_counts_from_the_start() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let document = json!({"tasks": {"a": {"command": "x", "rate": {"key": "api", "limit": 2, "period": "10s"},
                                          "concurrency": {"key": "k", "limit": 3}}}});
    for _ in 0..5 {
        database.submit(&document).await.unwrap();
    }
    let grant = "select postq.grant_parked('', 100)";
    for _ in 0..3 {
        database.execute(grant).await;
        database.advance_clock("20 s").await;
    }
    assert_eq!(
        worker.claim(&database, 9).await.len(),
        2,
        "the slots of the rate were kept for two"
    );
    database.execute(grant).await;
    assert!(worker.claim(&database, 9).await.is_empty());
    database.advance_clock("10 s").await;
    database.execute(grant).await;
    assert_eq!(worker.claim(&database, 9).await.len(), 1, "three of the key");
}

/// A task that waits with its job or for its parents asks for its key when its turn has come.
#[tokio::test]
async fn keys_are_asked_for_when_a_task_is_due() {
    let database = Database::create().await;
    let mut later = keyed("k", 1);
    later["delay"] = json!("20s");
    for _ in 0..2 {
        database.submit(&later).await.unwrap();
    }
    database.submit(&keyed("k", 1)).await.unwrap();
    take(&database, "9").await;
    database.advance_clock("21 s").await;
    assert!(consume(&database.pool, "9").await.is_empty(), "the key is taken");
    database.execute("select postq.ack(job, attempt) from postq.open_attempt").await;
    assert_eq!(consume(&database.pool, "9").await.len(), 1);
}

/// Those that are due and have to wait for their key are not in the way of those behind them.
#[tokio::test]
async fn a_line_for_a_key_that_is_due_hides_nobody() {
    for filter in ["", ", filter => '$.n == 1'"] {
        let database = Database::create().await;
        database.submit(&keyed("loud", 1)).await.unwrap();
        take(&database, "1").await;
        for n in 0..12 {
            let mut job = if n < 11 {
                keyed("loud", 1)
            } else {
                json!({"tasks": {"a": {"handler": "work"}}})
            };
            job["attributes"] = json!({"n": 1});
            job["delay"] = json!(format!("{}s", n + 1));
            database.submit(&job).await.unwrap();
        }
        database.advance_clock("20 s").await;
        let taken = consume(&database.pool, &format!("1{filter}")).await;
        assert_eq!(taken.len(), 1, "{filter}");
    }
}

/// Jobs with a key each or with one for all, due a second from now.
async fn submit_late(database: &Database, count: usize, key: impl Fn(usize) -> String) {
    for n in 0..count {
        let mut job = keyed(&key(n), 1);
        job["attributes"] = json!({"n": 1});
        job["delay"] = json!("1s");
        database.submit(&job).await.unwrap();
    }
}

#[tokio::test]
async fn of_those_that_are_due_one_with_a_free_key_is_started_and_the_others_are_left_alone() {
    for filter in ["", ", filter => '$.n == 1'"] {
        let database = Database::create().await;
        submit_late(&database, 30, |n| format!("key {n}")).await;
        database.advance_clock("2 s").await;
        let mut open = database.session().await;
        open.execute("begin").await;
        take_on(&mut open, &format!("1{filter}")).await;
        assert_eq!(open.value::<i64>("select count(*) from postq.parked").await, 0, "{filter}");
        let others = consume(&database.pool, &format!("9{filter}")).await;
        assert_eq!(others.len(), 9, "{filter}");
        open.execute("commit").await;
        check(&database).await;
    }
}

#[tokio::test]
async fn whoever_stands_in_line_for_a_key_comes_before_one_that_is_due() {
    let database = Database::create().await;
    database.submit(&keyed("one", 1)).await.unwrap();
    let first = take(&database, "1").await;
    let second = database.submit(&keyed("one", 1)).await.unwrap();
    submit_late(&database, 1, |_| "one".into()).await;
    database.advance_clock("2 s").await;
    database.execute(&first.ack()).await;
    assert_eq!(take(&database, "1").await.id, second);
    assert!(consume(&database.pool, "1").await.is_empty());
}

/// Its transaction may stay open for long, and the line may be of any length.
#[tokio::test]
async fn a_consume_lets_a_bounded_number_wait_for_their_key_and_wakes_who_looks_behind_them() {
    for filter in ["", ", filter => '$.n == 1'"] {
        let database = Database::create().await;
        database.submit(&keyed("loud", 1)).await.unwrap();
        take(&database, "1").await;
        let many = json!({"tasks": {"a": {"handler": "work", "concurrency": {"key": "loud", "limit": 1}}},
                          "attributes": {"n": 1}, "delay": "1s"});
        database
            .execute(&format!("select postq.submit_many(array_fill('{many}'::jsonb, array[1500]))"))
            .await;
        submit_late(&database, 1, |_| "quiet".into()).await;
        database.advance_clock("5 s").await;
        let mut sleeper = database.session().await;
        let channel: String = sleeper.value("select postq.listen('default')").await;
        assert!(consume(&database.pool, &format!("1{filter}")).await.is_empty());
        let parked: i64 =
            database.value("select count(*) from postq.parked where pool = 'key:loud'").await;
        assert!((1000..1100).contains(&parked), "{parked} in one call");
        let asleep = format!("select count(*) from postq.sleeper where '{channel}' <> ''");
        assert_eq!(database.value::<i64>(&asleep).await, 0, "woken");
        assert_eq!(consume(&database.pool, &format!("1{filter}")).await.len(), 1, "the quiet one");
    }
}

/// One that has a key of its own and wants a rate does not overtake who stands in line for that.
#[tokio::test]
async fn whoever_stands_in_line_for_a_rate_comes_before_one_with_a_free_key() {
    let database = Database::create().await;
    let rated = |key: Option<&str>| {
        let mut job = json!({"tasks": {"a": {"handler": "work", "rate": {"key": "r", "limit": 1, "period": "60s"}}}});
        if let Some(key) = key {
            job["tasks"]["a"]["concurrency"] = json!({"key": key, "limit": 1});
            job["delay"] = json!("1s");
        }
        job
    };
    database.submit(&rated(None)).await.unwrap();
    take(&database, "1").await;
    database.submit(&rated(None)).await.unwrap();
    database.submit(&rated(Some("own"))).await.unwrap();
    database.advance_clock("61 s").await;
    let mut open = database.session().await;
    open.execute("begin").await;
    take_on(&mut open, "1").await;
    let waits: i64 = open.value("select count(*) from postq.scheduled").await;
    assert_eq!(waits, 0, "the late one has joined a line");
}

/// What runs of each key must stay within its limit.
async fn check(database: &Database) {
    let over: i64 = database
        .value(
            "select count(*) from (
                 select s.concurrency_key from postq.open_attempt o
                 join postq.task_spec s on s.job = o.job and s.n = o.n
                 group by s.concurrency_key having count(*) > max(s.concurrency_limit)) x",
        )
        .await;
    assert_eq!(over, 0, "more than a key allows");
    let unlike: i64 = database
        .value(
            "select count(*) from (
                 select s.concurrency_key, count(*) as held from postq.task t
                 join postq.task_spec s on s.job = t.job and s.n = t.n
                 where t.token is not null group by s.concurrency_key) x
             full join (select substr(pool, 5) as key, count(*) as taken from postq.slot
                        where is_taken and pool like 'key:%' group by pool) y on y.key = x.concurrency_key
             where x.held is distinct from y.taken",
        )
        .await;
    assert_eq!(unlike, 0, "slots are taken by those that have them");
}

/// One of two agents, each with a coordinator of its own, and a consumer beside them: they claim,
/// finish in every way, cancel and consume at random.
async fn stir(database: std::sync::Arc<Database>, worker: Worker, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut session = database.session().await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let slots = random.random_range(1..6);
        held.extend(worker.claim_on(&mut session.connection, slots).await.unwrap());
        while held.len() > random.random_range(0..4) {
            let one = held.swap_remove(random.random_range(0..held.len()));
            let outcome =
                ["succeeded", "failed", "lost", "released", "timed_out"][random.random_range(0..5)];
            finish_on(&mut session.connection, &[(&one, End::from(outcome))]).await.unwrap();
        }
        for one in consume(&mut session.connection, "2").await {
            let word = [one.ack(), one.nack("no"), one.release()];
            session.execute(&word[random.random_range(0..3)]).await;
        }
        if random.random_bool(0.2) {
            let cancel = "select postq.cancel(id) from postq.job where finished_at is null order by random() limit 1";
            session.execute(&format!("{cancel}; select postq.apply_inbox(0, 9)")).await;
        }
        session.execute("select postq.promote('-infinity', 100)").await;
        session.execute("select postq.grant_parked('', 100)").await;
        check(&database).await;
    }
    for one in held {
        finish_on(&mut session.connection, &[(&one, End::from("succeeded"))]).await.unwrap();
    }
}

/// PQ9: at random, by two coordinators and consumers at once, no key ever runs more than it may, and
/// in the end every job has ended and no slot is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_runs_more_than_it_may_whatever_happens() {
    let database = std::sync::Arc::new(Database::create().await);
    for n in 0..120 {
        let (key, limit) = (format!("k{}", n % 4), n % 4 + 1);
        let document = if n % 2 == 0 { shell(&key, limit) } else { keyed(&key, limit) };
        database.submit(&document).await.unwrap();
    }
    let mut hands = Vec::new();
    for seed in 0..2 {
        let worker = Worker::connect(&database).await;
        hands.push(tokio::spawn(stir(std::sync::Arc::clone(&database), worker, seed)));
    }
    for hand in hands {
        hand.await.unwrap();
    }
    let worker = Worker::connect(&database).await;
    let open = "select count(*) from postq.job where finished_at is null";
    for _ in 0..200 {
        if database.value::<i64>(open).await == 0 {
            break;
        }
        database.advance_clock("5 s").await;
        let mut session = database.session().await;
        session.execute("select postq.sweep()").await;
        for one in consume(&mut session.connection, "50").await {
            session.execute(&one.ack()).await;
        }
        let claimed = worker.claim(&database, 50).await;
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        worker.finish(&database, &ends).await;
        check(&database).await;
    }
    assert_eq!(database.value::<i64>(open).await, 0, "jobs that were forgotten");
    assert_eq!(database.value::<i64>("select count(*) from postq.slot where is_taken").await, 0);
    assert_eq!(database.value::<i64>("select count(*) from postq.parked").await, 0);
    let ended: Vec<Uuid> = database.value("select array_agg(id) from postq.job").await;
    assert_eq!(ended.len(), 120);
}
