//! Limits of queues that are set while others are at it: they hold nobody up, and count what was there. And
//! how many tasks a queue may start in a time.

use std::{sync::Arc, time::Duration};

use postq_tests::{Database, End, Graph, PATIENCE, Session, Worker, eventually, finish_on};
use tokio::sync::Barrier;

use crate::consumer::{code, consume, publish, refused, take, take_on};

const LIMITS: &str =
    r#"{"max_jobs": 100, "max_running": 50, "rate": {"limit": 40, "period": "60s"}}"#;

/// A session that waits for nobody.
async fn hasty(database: &Database) -> Session {
    let mut session = database.session().await;
    session.execute("set statement_timeout = '1s'").await;
    session
}

/// Jobs of a queue are submitted, claimed, consumed, ended in every way, and swept.
async fn the_queue_goes_on(database: &Database, worker: &Worker, running: &str) {
    let mut session = hasty(database).await;
    session.execute(running).await;
    session.execute("select postq.publish('more', queue => 'busy', wait => '0.5 s')").await;
    session.execute("select postq.publish('later', scheduled_at => now() + interval '1 hour', queue => 'busy')").await;
    let claimed = worker.claim_on(&mut session.connection, 1).await.unwrap();
    assert!(!claimed.is_empty(), "an agent takes some");
    let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("failed"))).collect();
    finish_on(&mut session.connection, &ends).await.unwrap();
    let taken = consume(&mut session.connection, "2, 'busy'").await;
    assert_eq!(taken.len(), 2, "a consumer takes two");
    session.execute(&taken[0].ack()).await;
    session.execute(&taken[1].release()).await;
    session.execute(&format!("select postq.cancel('{}')", taken[1].id)).await;
    session.execute("select postq.sweep()").await;
    session.execute("select * from postq.queue_stats").await;
}

/// First limits, other ones and none any more: whatever is set in a transaction that stays open, the queue
/// goes on, and so it does when it has been rolled back.
#[tokio::test]
async fn nobody_waits_for_limits_that_are_set_in_an_open_transaction() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    database.execute("select postq.create_queue('busy')").await;
    let raised = LIMITS.replace("50", "60").replace("40", "45");
    let none = r#"{"max_jobs": null, "max_running": null, "rate": null}"#;
    let slower = r#"{"max_jobs": 90, "max_running": 20, "rate": {"limit": 30, "period": "3600s"}}"#;
    for (before, set) in
        [(none, LIMITS), (LIMITS, &*raised), (&*raised, slower), (slower, none), (none, LIMITS)]
    {
        database.execute(&format!("select postq.alter_queue('busy', '{before}')")).await;
        for _ in 0..4 {
            publish(&database, "'mail', queue => 'busy'").await;
            Graph::of(&[("a", &[])]).queue("busy").admit(&database).await;
        }
        publish(&database, "'due', scheduled_at => now() + interval '1 hour', queue => 'busy'")
            .await;
        let running = take(&database, "1, 'busy'").await;
        let mut user = database.session().await;
        user.execute(&format!("begin; select postq.alter_queue('busy', '{set}')")).await;
        println!("{set} is held open");
        the_queue_goes_on(&database, &worker, &running.ack()).await;
        user.execute("rollback").await;
        database.advance_clock("61 min").await;
        database.execute("select postq.sweep()").await;
        the_queue_goes_on(&database, &worker, "select postq.sweep()").await;
    }
}

const COUNTED: &str = "select jobs from postq.queue_stats where queue = 'late'";
const OPEN: &str = "select count(*) from postq.job where queue = 'late' and finished_at is null";

/// Sweeps until the bound has been counted when nobody was left who did not see it.
async fn counted(database: &Database) -> i64 {
    let settled = "select exists (select from postq.bound where noted is null)";
    // The transactions of all databases of the server count.
    eventually("the count once more", 5 * PATIENCE, async || {
        database.execute("select postq.sweep()").await;
        database.value::<bool>(settled).await.then_some(())
    })
    .await;
    database.value(COUNTED).await
}

/// Jobs that begin and end in transactions which do not see the bound are counted once these have ended.
#[tokio::test]
async fn a_bound_counts_what_began_and_ended_while_it_was_set() {
    let database = Database::create().await;
    for _ in 0..3 {
        publish(&database, "'mail', queue => 'late'").await;
    }
    let done = take(&database, "1, 'late'").await;
    let more = take(&database, "1, 'late'").await;
    let (mut enters, mut leaves) = (database.session().await, database.session().await);
    enters
        .execute("begin; select postq.publish('mail', queue => 'late') from generate_series(1, 4)")
        .await;
    leaves.execute(&format!("begin; {}", done.ack())).await;
    database.execute("select postq.create_queue('late', '{\"max_jobs\": 6}')").await;
    assert_eq!(database.value::<i64>(COUNTED).await, 3, "what is to be seen");
    // One that was counted ends with the bound in sight.
    database.execute(&more.ack()).await;
    database.execute("select postq.sweep(); select postq.sweep()").await;
    enters.execute("commit").await;
    leaves.execute("commit").await;
    assert_eq!(counted(&database).await, 5);
    assert_eq!(database.value::<i64>(OPEN).await, 5);
    let submit = "select postq.publish('mail', queue => 'late')";
    database.execute(submit).await;
    assert_eq!(code(&database, submit).await, "PQ010");
    for one in consume(&database.pool, "9, 'late'").await {
        database.execute(&one.ack()).await;
    }
    assert_eq!(database.value::<i64>(COUNTED).await, 0);
}

/// Jobs that nobody counted leave a bound that is below nothing for no longer than until the next submit.
#[tokio::test]
async fn a_bound_never_counts_less_than_nothing() {
    let database = Database::create().await;
    let mut unseen = database.session().await;
    unseen
        .execute("begin; select postq.publish('mail', queue => 'late') from generate_series(1, 5)")
        .await;
    database.execute("select postq.create_queue('late', '{\"max_jobs\": 2}')").await;
    unseen.execute("commit").await;
    for one in consume(&database.pool, "9, 'late'").await {
        database.execute(&one.ack()).await;
    }
    assert_eq!(database.value::<i64>(COUNTED).await, 0);
    let submit = "select postq.publish('mail', queue => 'late')";
    database.execute(submit).await;
    database.execute(submit).await;
    assert_eq!(code(&database, submit).await, "PQ010", "no more than two all the same");
    database
        .execute("select postq.alter_queue('late', '{\"max_jobs\": null}'); select postq.sweep()")
        .await;
    let left = "select (select count(*) from postq.bound) + (select count(*) from postq.departure)";
    assert_eq!(database.value::<i64>(left).await, 0, "a bound that is no more leaves nothing");
}

/// What runs when a queue gets a limit counts, whether or not its start was to be seen, until it ends,
/// whether or not who ends it sees the limit.
#[tokio::test]
async fn a_limit_counts_what_began_while_it_was_set_until_it_ends() {
    let database = Database::create().await;
    for _ in 0..9 {
        publish(&database, "'mail', queue => 'late'").await;
    }
    let (first, second) = (take(&database, "1, 'late'").await, take(&database, "1, 'late'").await);
    let (mut takes, mut ends) = (database.session().await, database.session().await);
    takes.execute("begin").await;
    let hidden = take_on(&mut takes, "1, 'late'").await;
    ends.execute(&format!("begin; {}", first.ack())).await;
    database.execute("select postq.create_queue('late', '{\"max_running\": 3}')").await;
    let third = take(&database, "9, 'late'").await;
    takes.execute("commit").await;
    database.execute("select postq.sweep()").await;
    assert!(consume(&database.pool, "9, 'late'").await.is_empty(), "four run");
    ends.execute("commit").await;
    assert!(consume(&database.pool, "9, 'late'").await.is_empty(), "three run");
    database.execute(&second.ack()).await;
    assert_eq!(consume(&database.pool, "9, 'late'").await.len(), 1);
    database.execute(&hidden.ack()).await;
    assert_eq!(consume(&database.pool, "9, 'late'").await.len(), 1);
    database.execute(&third.nack("no")).await;
    assert_eq!(consume(&database.pool, "9, 'late'").await.len(), 1);
    database.execute("select postq.sweep()").await;
    assert_eq!(
        database.value::<i64>("select count(*) from postq.slot").await,
        3,
        "and no more slots"
    );
}

/// Whoever ends what began before the limit tells those who wait for its place.
#[tokio::test]
async fn the_end_of_what_ran_before_the_limit_wakes_who_waits_for_its_place() {
    let database = Database::create().await;
    publish(&database, "'mail', queue => 'late'").await;
    publish(&database, "'mail', queue => 'late'").await;
    let before = take(&database, "1, 'late'").await;
    database.execute("select postq.create_queue('late', '{\"max_running\": 1}')").await;
    let mut sleeper = database.session().await;
    assert!(consume(&mut sleeper.connection, "1, 'late'").await.is_empty());
    let asleep = "select count(*) from postq.sleeper";
    sleeper.execute("select postq.listen('late')").await;
    assert_eq!(database.value::<i64>(asleep).await, 1);
    database.execute(&before.ack()).await;
    assert_eq!(database.value::<i64>(asleep).await, 0, "it was woken");
    assert_eq!(consume(&mut sleeper.connection, "1, 'late'").await.len(), 1);
}

/// Starts of a queue in the time before now.
async fn started(database: &Database) -> i64 {
    let all =
        "select (select count(*) from postq.attempt) + (select count(*) from postq.open_attempt)";
    database.value(all).await
}

async fn start_all(database: Arc<Database>, worker: Worker, start: Arc<Barrier>) {
    let mut session = database.session().await;
    start.wait().await;
    for _ in 0..15 {
        let claimed = worker.claim_on(&mut session.connection, 2).await.unwrap();
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        for one in consume(&mut session.connection, "2, 'slow'").await {
            session.execute(&one.ack()).await;
        }
    }
}

/// However many agents and consumers are at it: no more than the rate, and again so many a period later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rate_of_a_queue_is_exact_whoever_starts_at_once() {
    let database = Arc::new(Database::create().await);
    database
        .execute(r#"select postq.create_queue('slow', '{"rate": {"limit": 7, "period": "60s"}}')"#)
        .await;
    for n in 0..40 {
        publish(&database, &format!("'mail{}', queue => 'slow'", n % 2)).await;
        Graph::of(&[("a", &[])]).queue("slow").admit(&database).await;
    }
    for wanted in [7, 14, 21] {
        let start = Arc::new(Barrier::new(4));
        let mut hands = Vec::new();
        for _ in 0..4 {
            let worker = Worker::connect(&database).await;
            hands.push(tokio::spawn(start_all(Arc::clone(&database), worker, Arc::clone(&start))));
        }
        for hand in hands {
            hand.await.unwrap();
        }
        assert_eq!(started(&database).await, wanted);
        let waits = "select reason from postq.tasks where state = 'ready' limit 1";
        let reason = "its queue \"slow\" has started 7 tasks in 60 s, which is its rate";
        assert_eq!(database.value::<String>(waits).await, reason);
        database.advance_clock("61 s").await;
    }
}

/// A rate that is changed holds for what has been started before; one that is removed holds nothing.
#[tokio::test]
async fn a_rate_of_a_queue_is_changed_and_removed() {
    let database = Database::create().await;
    for _ in 0..30 {
        publish(&database, "'mail', queue => 'slow'").await;
    }
    let set = async |rate: &str| {
        database
            .execute(&format!("select postq.alter_queue('slow', '{{\"rate\": {rate}}}')"))
            .await;
    };
    let takes = async || consume(&database.pool, "5, 'slow', lease => '1 day'").await.len();
    database.execute("select postq.create_queue('slow')").await;
    set(r#"{"limit": 2, "period": "3600s"}"#).await;
    assert_eq!((takes().await, takes().await), (2, 0));
    set(r#"{"limit": 3, "period": "3600s"}"#).await;
    assert_eq!((takes().await, takes().await), (1, 0));
    set(r#"{"limit": 1, "period": "60s"}"#).await;
    assert_eq!(takes().await, 0);
    database.advance_clock("61 s").await;
    assert_eq!((takes().await, takes().await), (1, 0), "the shorter period counts");
    let shown = "select (rate_limit, rate_period)::text from postq.queues";
    assert_eq!(database.value::<String>(shown).await, "(1,00:01:00)");
    set("null").await;
    assert_eq!(takes().await, 5);
    database.execute("select postq.sweep()").await;
    assert_eq!(
        database.value::<i64>("select count(*) from postq.slot").await,
        0,
        "nothing is left of it"
    );
    // With a limit on running tasks both hold.
    database.execute("select postq.alter_queue('slow', '{\"max_running\": 10}')").await;
    set(r#"{"limit": 4, "period": "3600s"}"#).await;
    assert_eq!(takes().await, 1, "nine run");
    set(r#"{"limit": 2, "period": "3600s"}"#).await;
    database.execute("select postq.ack(id, attempt) from postq.running").await;
    assert_eq!((takes().await, takes().await), (1, 0));
    database.advance_clock("61 min").await;
    assert_eq!(takes().await, 2);
}

/// A consumer that is rolled back has started nothing.
#[tokio::test]
async fn a_start_that_is_rolled_back_does_not_count() {
    let database = Database::create().await;
    database
        .execute(r#"select postq.create_queue('slow', '{"rate": {"limit": 2, "period": "60s"}}')"#)
        .await;
    for _ in 0..3 {
        publish(&database, "'mail', queue => 'slow'").await;
    }
    let mut holder = database.session().await;
    holder.execute("begin").await;
    take_on(&mut holder, "1, 'slow'").await;
    let mut other = hasty(&database).await;
    assert_eq!(consume(&mut other.connection, "9, 'slow'").await.len(), 1, "the other start");
    holder.execute("rollback").await;
    assert_eq!(consume(&mut other.connection, "9, 'slow'").await.len(), 1);
    assert!(consume(&mut other.connection, "9, 'slow'").await.is_empty());
}

#[tokio::test]
async fn a_rate_that_is_none_is_refused() {
    let database = Database::create().await;
    database.execute("select postq.create_queue('slow')").await;
    for (rate, wanted) in [
        ("5", "rate is a number; write a object"),
        ("{}", "rate.limit: is 0; write 1 or more"),
        (r#"{"limit": 5}"#, "rate.period: is zero; give it a time, as 60s"),
        (r#"{"limit": 0, "period": "1s"}"#, "rate.limit: is 0; write 1 or more"),
        (r#"{"limit": -1, "period": "1s"}"#, "rate.limit: is -1; write 1 or more"),
        (r#"{"limit": 1, "period": "0s"}"#, "rate.period: is zero; give it a time, as 60s"),
        (r#"{"limit": 1, "period": "-1s"}"#, "rate.period: is negative"),
        (r#"{"limit": 1, "period": "soon"}"#, "rate.period: "),
        (r#"{"limit": 1.5, "period": "1s"}"#, "rate.limit: "),
        (
            r#"{"limit": 1, "period": "1s", "key": "x"}"#,
            "rate has no field key; write limit and period",
        ),
        (r#"{"limit": 1, "period": "1s", "burst": 2}"#, "rate.burst: unknown field"),
        (r#"{"limit": 99999999999, "period": "1s"}"#, "rate.limit: "),
        (r#"{"limit": 1, "period": "99999999999s"}"#, "rate.period: "),
    ] {
        let call =
            format!("select postq.alter_queue('slow', '{{\"rate\": {rate}, \"max_jobs\": 1}}')");
        let (code, message) = refused(&database, &call).await;
        assert_eq!(code, "PQ005", "{rate}: {message}");
        assert!(message.starts_with(wanted), "{rate}: {message}");
    }
    let left =
        "select count(*) from postq.queues where rate_limit is not null or max_jobs is not null";
    assert_eq!(database.value::<i64>(left).await, 0);
}

/// It is not asked again and again whether the rate allows a start: the next one is known.
#[tokio::test]
async fn coordinators_know_when_the_rate_of_a_queue_allows_a_start_again() {
    let database = Database::create().await;
    database
        .execute(r#"select postq.create_queue('slow', '{"rate": {"limit": 1, "period": "60s"}}')"#)
        .await;
    publish(&database, "'mail', queue => 'slow'").await;
    publish(&database, "'mail', queue => 'slow'").await;
    take(&database, "1, 'slow'").await;
    database.advance_clock("20 s").await;
    let next = "select (postq.grant_parked('', 100) ->> 'next_ms')::bigint";
    let wait = Duration::from_millis(database.value::<i64>(next).await.unsigned_abs());
    assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(40), "{wait:?}");
    database.execute("select postq.listen('slow')").await;
    database.advance_clock("41 s").await;
    let next: Option<i64> = database.value(next).await;
    assert_eq!(next, None, "now");
}
