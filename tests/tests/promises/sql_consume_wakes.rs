//! Consumers that sleep until there is something to do.

use std::time::Duration;

use postq_tests::{Database, PATIENCE};
use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::consumer::{consume, publish, take};

/// How long nothing must be heard for it to count as silence.
const SILENCE: Duration = Duration::from_millis(300);

/// A consumer that has registered, listens and has looked once more.
struct Sleeper {
    listener: PgListener,
    queue: String,
}

impl Sleeper {
    async fn on(database: &Database, queue: &str) -> Self {
        let pool =
            PgPoolOptions::new().max_connections(1).connect_lazy_with(database.options().clone());
        let mut listener = PgListener::connect_with(&pool).await.unwrap();
        let channel = Self::register(&mut listener, queue).await;
        listener.listen(&channel).await.unwrap();
        let mut sleeper = Self { listener, queue: queue.to_owned() };
        assert_eq!(sleeper.consume().await, 0);
        sleeper
    }

    async fn register(listener: &mut PgListener, queue: &str) -> String {
        let listen = sqlx::query_scalar("select postq.listen($1)").bind(queue);
        listen.fetch_one(listener).await.unwrap()
    }

    async fn consume(&mut self) -> usize {
        let arguments = format!("1, '{}'", self.queue);
        consume(&mut self.listener, &arguments).await.len()
    }

    async fn is_woken_within(&mut self, limit: Duration) -> bool {
        match tokio::time::timeout(limit, self.listener.recv()).await {
            Ok(heard) => {
                assert_eq!(heard.unwrap().payload(), self.queue);
                true
            }
            Err(_) => false,
        }
    }
}

async fn sleepers(database: &Database) -> i64 {
    database.value("select count(*) from postq.sleeper").await
}

/// DQ14, JQ15: woken by a publish and by a dead letter, without a poll.
#[tokio::test]
async fn a_sleeping_consumer_is_woken_by_work_in_its_queue() {
    let database = Database::create().await;
    let mut sleeper = Sleeper::on(&database, "default").await;
    let mut other = Sleeper::on(&database, "other").await;
    let mut dead = Sleeper::on(&database, "dlq@default").await;
    publish(&database, "'mail', max_retries => 1").await;
    assert!(sleeper.is_woken_within(PATIENCE).await);
    let taken = take(&database, "1").await;
    database.execute(&taken.nack("no")).await;
    assert!(dead.is_woken_within(PATIENCE).await);
    assert_eq!(dead.consume().await, 1);
    assert!(!other.is_woken_within(SILENCE).await);
}

/// DQ26: one task wakes one of many, the next one the next.
#[tokio::test]
async fn one_task_does_not_wake_them_all() {
    let database = Database::create().await;
    let mut herd = Vec::new();
    for _ in 0..5 {
        herd.push(Sleeper::on(&database, "default").await);
    }
    publish(&database, "'mail'").await;
    assert!(herd[0].is_woken_within(PATIENCE).await, "who has slept longest");
    assert_eq!(sleepers(&database).await, 4);
    let two = "select count(postq.publish('mail')) from generate_series(1, 2)";
    assert_eq!(database.value::<i64>(two).await, 2);
    assert!(herd[1].is_woken_within(PATIENCE).await);
    assert!(herd[2].is_woken_within(PATIENCE).await);
    assert!(!herd[3].is_woken_within(SILENCE).await);
    assert_eq!(sleepers(&database).await, 2);
}

/// Who has something to do is not told of more, and nobody is told of what is rolled back.
#[tokio::test]
async fn only_those_who_sleep_are_notified_and_only_of_what_is_committed() {
    let database = Database::create().await;
    let mut sleeper = Sleeper::on(&database, "default").await;
    let mut session = database.session().await;
    session.execute("begin; select postq.publish('mail'); rollback").await;
    assert!(!sleeper.is_woken_within(SILENCE).await);
    assert_eq!(sleepers(&database).await, 1);
    publish(&database, "'mail'").await;
    assert!(sleeper.is_woken_within(PATIENCE).await);
    assert_eq!(sleeper.consume().await, 1);
    publish(&database, "'mail'").await;
    assert!(!sleeper.is_woken_within(SILENCE).await, "it did not register again");
    Sleeper::register(&mut sleeper.listener, "default").await;
    assert_eq!(sleeper.consume().await, 1);
    assert_eq!(sleepers(&database).await, 0, "consuming something is being awake");
}

/// A transaction that is held open while it wakes somebody holds up nobody.
#[tokio::test]
async fn a_publish_that_is_held_open_does_not_keep_others_from_waking_the_same_consumer() {
    let database = Database::create().await;
    let mut sleeper = Sleeper::on(&database, "default").await;
    let mut held = database.session().await;
    held.execute("begin; select postq.publish('mail')").await;
    let mut session = database.session().await;
    session.execute_at_once("select postq.publish('mail')").await;
    assert!(sleeper.is_woken_within(PATIENCE).await);
    assert_eq!(sleeper.consume().await, 1);
    let register = Sleeper::register(&mut sleeper.listener, "default");
    tokio::time::timeout(PATIENCE, register).await.unwrap();
    held.execute("rollback").await;
}

/// A consumer that died while it slept is not counted on.
#[tokio::test]
async fn those_who_died_in_their_sleep_are_passed_over_and_forgotten() {
    let database = Database::create().await;
    let mut gone = database.session().await;
    gone.execute("select postq.listen('default')").await;
    let backend: i32 = gone.value("select pg_backend_pid()").await;
    let mut sleeper = Sleeper::on(&database, "default").await;
    database.execute(&format!("select pg_terminate_backend({backend}, 10000)")).await;
    publish(&database, "'mail'").await;
    assert!(sleeper.is_woken_within(PATIENCE).await);
    database.session().await.execute("select postq.sweep()").await;
    assert_eq!(sleepers(&database).await, 0);
}
