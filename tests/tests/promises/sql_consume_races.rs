//! Consumers beside each other and beside coordinators: nobody shares a task, nobody waits, and work
//! in the same database is done exactly once.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use postq_tests::{Database, End, PATIENCE, Session, Worker, eventually, finish_on};
use serde_json::json;
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::{
    consumer::{Taken, consume, publish, state, take, take_on},
    sql_held_open::the_rest_goes_on,
};

async fn publish_many(database: &Database, count: i64, arguments: &str) {
    let publish =
        format!("select count(postq.publish({arguments})) from generate_series(1, {count}) n");
    assert_eq!(database.value::<i64>(&publish).await, count);
}

/// Consumes and acks until nothing is left.
async fn consume_all(mut session: Session, start: Arc<Barrier>) -> Vec<Uuid> {
    start.wait().await;
    let mut all = Vec::new();
    loop {
        let taken = consume(&mut session.connection, "10").await;
        if taken.is_empty() {
            return all;
        }
        for one in taken {
            session.execute(&one.ack()).await;
            all.push(one.id);
        }
    }
}

/// PT23, JQ4: eight consumers at once, each task to one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn consumers_at_once_never_share_a_task() {
    let database = Database::create().await;
    publish_many(&database, 1000, "'mail' || n % 3").await;
    let start = Arc::new(Barrier::new(8));
    let mut consumers = Vec::new();
    for _ in 0..8 {
        consumers.push(tokio::spawn(consume_all(database.session().await, Arc::clone(&start))));
    }
    let ids: Vec<Uuid> = join_all(consumers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "a task consumed twice");
    // Rows that others had locked just then may be left to the next one.
    let left: i64 = database.value("select count(*) from postq.ready").await;
    assert_eq!(ids.len(), usize::try_from(1000 - left).unwrap());
}

/// What one open transaction has taken is passed over, and nothing else is locked.
#[tokio::test]
async fn a_consumer_passes_over_what_another_open_transaction_has_taken() {
    let database = Database::create().await;
    publish_many(&database, 5, "'a' || n % 2").await;
    let mut left = database.session().await;
    left.execute("begin").await;
    let held = consume(&mut left.connection, "2").await;
    assert_eq!(held.len(), 2);
    let mut right = database.session().await;
    right.execute("set statement_timeout = '1s'").await;
    let taken = consume(&mut right.connection, "9").await;
    assert_eq!(taken.len(), 3, "all but the two");
    left.execute("rollback").await;
    let mut back: Vec<Uuid> = consume(&database.pool, "9").await.iter().map(|one| one.id).collect();
    back.sort();
    let mut wanted: Vec<Uuid> = held.iter().map(|one| one.id).collect();
    wanted.sort();
    assert_eq!(back, wanted);
}

/// Says it on a connection of its own, and commits the open transaction as soon as it waits for that.
async fn say_against(open: &mut Session, database: &Database, word: &str) {
    let mut other = database.session().await;
    let backend: i32 = other.value("select pg_backend_pid()").await;
    let waits = format!("select cardinality(pg_blocking_pids({backend})) > 0");
    let commit = async {
        eventually("a word that waits", PATIENCE, async || {
            database.value::<bool>(&waits).await.then_some(())
        })
        .await;
        open.execute("commit").await;
    };
    tokio::join!(other.execute(word), commit);
}

/// The row of an attempt that was just renewed is another one than the one that was looked up.
#[tokio::test]
async fn a_word_about_an_attempt_that_is_just_being_renewed_ends_it() {
    let database = Database::create().await;
    for word in ["ack", "ack_many", "nack", "release", "dead letter"] {
        publish(&database, "'mail'").await;
        let mut taken = take(&database, "1").await;
        if word == "dead letter" {
            let dies =
                format!("select postq.nack('{}', {}, is_final => true)", taken.id, taken.attempt);
            database.execute(&dies).await;
            taken = take(&database, "1, 'dlq@default'").await;
        }
        let said = match word {
            "ack" => taken.ack(),
            "nack" => taken.nack("no"),
            "release" => taken.release(),
            _ => format!(
                "select 1 / count(*) from postq.ack_many(array['{}'::uuid], array[{}])",
                taken.id, taken.attempt
            ),
        };
        let mut renews = database.session().await;
        renews.execute(&format!("begin; {}", taken.renew("10 min"))).await;
        say_against(&mut renews, &database, &said).await;
        let left = "select (select count(*) from postq.open_attempt) + (select count(*) from postq.dead_letter)";
        assert_eq!(database.value::<i64>(left).await, 0, "{word}");
        // What is left behind would be in everybody's way once its lease is over.
        database.advance_clock("20 min").await;
        database.execute("select postq.sweep()").await;
        for one in consume(&database.pool, "9").await {
            database.execute(&one.ack()).await;
        }
    }
    let others: i64 =
        database.value("select count(*) from postq.task where state <> 'succeeded'").await;
    assert_eq!(others, 1, "the dead one");
}

/// Ack against the end of the lease, on two connections at once: one of them counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_late_ack_and_the_end_of_the_lease_one_counts() {
    let database = Database::create().await;
    for by in ["select * from postq.consume(1)", "select postq.sweep()"] {
        for _ in 0..10 {
            let job = publish(&database, "'mail', backoff => '0 s'").await;
            let taken = take(&database, "1").await;
            database.advance_clock("61 s").await;
            let (mut left, mut right) = (database.session().await, database.session().await);
            let ack = taken.ack();
            let (acked, ()) = tokio::join!(left.try_execute(&ack), right.execute(by));
            let state = state(&database, job).await;
            let count = format!(
                "select count(*) from postq.attempt where job = '{job}' and id = {}",
                taken.attempt
            );
            assert_eq!(database.value::<i64>(&count).await, 1, "one outcome");
            match acked {
                Ok(()) => assert_eq!(state, "succeeded"),
                Err(error) => {
                    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("PQ004"));
                    assert_eq!(state, "running");
                    database.execute("select postq.sweep(); select postq.sweep()").await;
                    let open = "select job, attempt from postq.open_attempt";
                    let found: Option<(Uuid, i64)> =
                        sqlx::query_as(open).fetch_optional(&database.pool).await.unwrap();
                    let again = match found {
                        Some((id, attempt)) => format!("select postq.ack('{id}', {attempt})"),
                        None => take(&database, "1").await.ack(),
                    };
                    database.execute(&again).await;
                }
            }
        }
    }
}

/// Each function is held open in a transaction while everything else runs, and takes effect with its
/// commit.
#[tokio::test]
async fn nobody_waits_for_a_transaction_that_consumes_or_ends_a_task() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for (verb, ends_as) in [
        ("ack", "succeeded"),
        ("nack", "cancelled"),
        ("nack for good", "failed"),
        ("renew", "running"),
        ("release", "cancelled"),
        ("consume", "cancelled"),
        ("consume and ack", "succeeded"),
        ("cancel", "cancelled"),
    ] {
        let later = if verb == "cancel" { "postq.now() + interval '1 day'" } else { "null" };
        let held = format!("'held', priority => 9, timeout => '1 s', scheduled_at => {later}");
        let job = publish(&database, &held).await;
        let mut user = database.session().await;
        let taken = if verb.starts_with("consume") || verb == "cancel" {
            user.execute("begin").await;
            None
        } else {
            let taken = take(&database, "1").await;
            user.execute("begin").await;
            Some(taken)
        };
        match (verb, taken) {
            ("consume and ack", _) => {
                let taken = take_on(&mut user, "1").await;
                user.execute(&taken.ack()).await;
            }
            ("consume", _) => assert_eq!(take_on(&mut user, "1").await.id, job),
            ("cancel", _) => user.execute(&format!("select postq.cancel('{job}')")).await,
            ("ack", Some(taken)) => user.execute(&taken.ack()).await,
            ("nack", Some(taken)) => user.execute(&taken.nack("no")).await,
            ("nack for good", Some(taken)) => {
                let (id, attempt) = (taken.id, taken.attempt);
                let nack = format!("select postq.nack('{id}', {attempt}, is_final => true)");
                user.execute(&nack).await;
            }
            ("renew", Some(taken)) => user.execute(&taken.renew("1 day")).await,
            (_, taken) => user.execute(&taken.unwrap().release()).await,
        }
        // The lease, were it not held, would be over.
        database.advance_clock("10 s").await;
        let cancelled = [job];
        let count = usize::from(verb != "cancel");
        the_rest_goes_on(&database, &worker, &cancelled[..count]).await;
        user.execute("commit").await;
        database.execute("select postq.sweep(); select postq.sweep()").await;
        assert_eq!(state(&database, job).await, ends_as, "{verb}");
        if let Ok(open) = sqlx::query_as::<_, (Uuid, i64)>(
            "select job, attempt from postq.open_attempt where job = $1",
        )
        .bind(job)
        .fetch_one(&database.pool)
        .await
        {
            database.execute(&format!("select postq.ack('{}', {})", open.0, open.1)).await;
        }
    }
}

/// DQ2, DQ5: work, its effects and the ack in one transaction with the consume; the death of the
/// connection gives the task back at once.
#[tokio::test]
async fn a_task_consumed_and_acked_in_one_transaction_goes_back_when_its_connection_dies() {
    let database = Database::create().await;
    database.execute("create table done (job uuid)").await;
    let job = publish(&database, "'mail'").await;
    let mut dying = database.session().await;
    dying.execute("begin").await;
    let taken = take_on(&mut dying, "1").await;
    dying.execute(&format!("insert into done values ('{job}'); {}", taken.ack())).await;
    let backend: i32 = dying.value("select pg_backend_pid()").await;
    let mut next = database.session().await;
    assert!(consume(&mut next.connection, "1").await.is_empty());
    database.execute(&format!("select pg_terminate_backend({backend}, 10000)")).await;
    next.execute("begin; set local statement_timeout = '1s'").await;
    let taken = take_on(&mut next, "1").await;
    assert_eq!((taken.id, taken.attempts), (job, 1), "nothing has happened");
    next.execute(&format!("insert into done values ('{job}'); {}; commit", taken.ack())).await;
    assert_eq!(database.value::<i64>("select count(*) from done").await, 1);
    assert_eq!(state(&database, job).await, "succeeded");
}

/// One round of a worker of which anything may fail at any time.
async fn increment(session: &mut Session, is_in_one: bool) -> Result<bool, sqlx::Error> {
    if is_in_one {
        session.try_execute("begin").await?;
    }
    let taken: Option<Taken> = sqlx::query_as("select * from postq.consume(1)")
        .fetch_optional(&mut session.connection)
        .await?;
    let Some(taken) = taken else {
        session.try_execute("rollback").await?;
        return Ok(false);
    };
    if !is_in_one {
        session.try_execute("begin").await?;
    }
    session.try_execute("update counter set n = n + 1").await?;
    session.try_execute(&taken.ack()).await?;
    session.try_execute("commit").await?;
    Ok(true)
}

/// Ends some connection that is at work, or was.
const KILL: &str = "
    select count(pg_terminate_backend(a.pid)) from (
        select a.pid from pg_stat_activity a
        where a.datname = current_database() and a.application_name = 'victim'
        order by random() limit 1) a";

/// Works until all jobs have ended, and kills others on the way.
async fn increment_all(database: &Database, is_in_one: bool) {
    let victim = async || {
        let mut session = database.session().await;
        session.execute("set application_name = 'victim'").await;
        session
    };
    let mut session = victim().await;
    for round in 0..20_000 {
        match increment(&mut session, is_in_one).await {
            Ok(true) => {}
            Ok(false) => {
                // The leases of those that died end, and of some that live.
                database.advance_clock("2 s").await;
                let open = "select count(*) from postq.job where finished_at is null";
                if database.value::<i64>(open).await == 0 {
                    return;
                }
            }
            // Refused as stale, or killed.
            Err(_) => {
                if session.try_execute("rollback").await.is_err() {
                    session = victim().await;
                }
            }
        }
        if round % 7 == 0 {
            assert!(database.value::<i64>(KILL).await <= 1);
        }
    }
    panic!("no end");
}

/// DQ3: 500 increments, whoever is killed on the way.
#[tokio::test]
async fn five_hundred_increments_are_done_exactly_once_however_many_connections_die() {
    let database = Database::create().await;
    database.execute("create table counter (n int); insert into counter values (0)").await;
    publish_many(&database, 500, "'add', max_retries => -1, backoff => '0 s', timeout => '1 s'")
        .await;
    join_all((0..4).map(|worker| increment_all(&database, worker % 2 == 0))).await;
    assert_eq!(database.value::<i32>("select n from counter").await, 500);
    let acked = "select count(*) from postq.attempt where outcome = 'succeeded'";
    assert_eq!(database.value::<i64>(acked).await, 500);
    let killed = "select count(*) from postq.attempt where outcome = 'timed_out'";
    assert!(database.value::<i64>(killed).await > 0, "nobody was killed in time");
}

/// A task of a handler is given to an agent or to a consumer, never to both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_and_consumers_never_share_a_task() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    publish_many(&database, 200, "'mail'").await;
    let (mut left, mut right) = (database.session().await, database.session().await);
    let mut count = 0;
    loop {
        let (claimed, taken) = tokio::join!(
            worker.claim_on(&mut left.connection, 7),
            consume(&mut right.connection, "7"),
        );
        let claimed = claimed.unwrap();
        let ids: BTreeSet<Uuid> =
            claimed.iter().map(|one| one.job).chain(taken.iter().map(|one| one.id)).collect();
        assert_eq!(ids.len(), claimed.len() + taken.len());
        count += ids.len();
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        finish_on(&database.pool, &ends).await.unwrap();
        for one in &taken {
            right.execute(&one.ack()).await;
        }
        if ids.is_empty() {
            break;
        }
    }
    assert_eq!(count, 200);
    let stats = "select to_jsonb(array_agg(distinct state)) from postq.jobs";
    assert_eq!(database.json(stats).await, json!(["succeeded"]));
}
