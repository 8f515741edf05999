//! A large history costs nothing: with very many jobs that have ended and many that wait, what takes, ends,
//! sweeps and finds reads by index, and as many pages as it has to. Counted in pages, not in time.
//!
//! `POSTQ_SOAK=1` makes it 1,000,000 jobs that have ended and 100,000 that wait; without it there are some tens of thousands.

use std::env;

use postq_coordinator::store::{JobFilter, Store};
use postq_tests::{Database, Session, Worker, finish_on};

use uuid::Uuid;

use crate::filled::{Filling, fill, whole_reads};

/// The least of three looks, as far as they are needed: what other databases of the server are doing makes
/// a session read its catalogue anew now and then, which counts.
async fn fewest_pages(session: &mut Session, statement: &str, enough: i64) -> i64 {
    let mut fewest = i64::MAX;
    for _ in 0..3 {
        fewest = fewest.min(session.pages(statement).await);
        if fewest < enough {
            break;
        }
    }
    fewest
}

/// What is done all the time, and the pages it may touch, whatever there is.
const STATEMENTS: [(&str, i64); 15] = [
    ("select * from postq.consume(10)", 1_000),
    // As far as a filter looks: five thousand tasks.
    ("select * from postq.consume(10, filter => '$.team == \"t77\"')", 60_000),
    ("select postq.ack(id, attempt) from postq.consume(10)", 2_500),
    ("select postq.sweep()", 3_000),
    ("select postq.expire_leases(100)", 500),
    ("select postq.promote('-infinity', 100)", 500),
    // One of all there ever were; and as far as it looks before it asks the index.
    ("select * from postq.find_jobs('$.n == 5', max_count => 10)", 6_000),
    ("select * from postq.find_jobs('$.team == \"t77\"', max_count => 10)", 15_000),
    ("select * from postq.find_jobs(of_queue => 'default', max_count => 10)", 500),
    // As far as it looks before it asks the index: twenty thousand jobs.
    ("select postq.cancel_matching('$.n == 5', 'default')", 120_000),
    ("select * from postq.consume(10, 'dlq@default')", 1_000),
    ("select postq.redrive_all('default', 10)", 5_000),
    (
        "select postq.redrive((select job from postq.dead_letter where queue = 'default' order by died_at desc limit 1))",
        1_000,
    ),
    ("select postq.purge_finished('1 day')", 4_000),
    // A thousand jobs are forgotten.
    ("select postq.purge_queue('default')", 100_000),
];

#[tokio::test]
async fn a_long_history_costs_nothing_soak() {
    let (ended, waiting) = match env::var_os("POSTQ_SOAK") {
        Some(_) => (1_000_000, 100_000),
        None => (40_000, 6_000),
    };
    let database = Database::create().await;
    let filling = Filling { ended, dead: ended / 10, waiting, tasks: 1, handler: Some("mail") };
    fill(&database, filling).await;
    let retention =
        r#"select postq.create_queue('default', '{"retention": {"age": "86400s", "jobs": 100}}')"#;
    database.execute(retention).await;
    let worker = Worker::connect(&database).await;
    let mut session = database.session().await;
    // Each is called twice in a round: more than the five times after which a plan is settled.
    for round in 0..4 {
        session.execute("begin").await;
        let claimed = worker.claim_on(&mut session.connection, 20).await.unwrap();
        assert_eq!(claimed.len(), 20);
        let ends: Vec<_> = claimed.iter().map(|one| (one, "succeeded".into())).collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        assert_eq!(whole_reads(&mut session).await, [""; 0], "claim and finish");
        session.execute("commit").await;
        for (statement, most) in STATEMENTS {
            let touched = fewest_pages(&mut session, statement, most).await;
            assert!(round == 0 || touched < most, "{statement} touched {touched} pages");
            session.execute("begin").await;
            session.execute(statement).await;
            let whole = whole_reads(&mut session).await;
            assert_eq!(whole, [""; 0], "{statement}");
            session.execute("rollback").await;
        }
    }
}

/// What is in a queue is counted by looking once at each row that waits, and what has ended does not matter.
#[tokio::test]
async fn the_depth_of_a_queue_costs_what_waits_and_not_what_was() {
    let database = Database::create().await;
    let filling =
        Filling { ended: 30_000, dead: 100, waiting: 20_000, tasks: 1, handler: Some("mail") };
    fill(&database, filling).await;
    let mut session = database.session().await;
    let stats = "select * from postq.stats_of('default')";
    let counted: Vec<i64> = session
        .value("select array[jobs, ready, dead_letters] from postq.stats_of('default')")
        .await;
    assert_eq!(counted, [20_000, 20_000, 100]);
    let touched = fewest_pages(&mut session, stats, 600).await;
    assert!(touched < 600, "{touched} pages");
    session.execute("begin").await;
    session.execute(stats).await;
    assert_eq!(whole_reads(&mut session).await, [""; 0]);
}

/// What the coordinator has asked for last, as it was sent.
async fn last_statement(database: &Database) -> String {
    let last = "select query from pg_stat_activity where application_name = 'listings' and datname = current_database()";
    database.value(last).await
}

/// The listings of the API, by the coordinator's own statements.
#[tokio::test]
async fn the_listings_of_the_api_read_by_index() {
    let database = Database::create().await;
    let filling =
        Filling { ended: 30_000, dead: 3_000, waiting: 3_000, tasks: 1, handler: Some("mail") };
    fill(&database, filling).await;
    let store = Store::open(database.options().clone().application_name("listings"), 1);
    let mut session = database.session().await;
    let queue = Some("default".to_owned());
    let before: Uuid =
        database.value("select id from postq.job order by id limit 1 offset 20000").await;
    let filter = Some("$.n == 5".to_owned());
    for (of, arguments) in [
        (JobFilter { limit: 11, ..JobFilter::default() }, "'{}', null, null, 11".to_owned()),
        (
            JobFilter {
                limit: 11,
                queue: queue.clone(),
                before: Some(before),
                ..JobFilter::default()
            },
            format!("'{{}}', 'default', '{before}', 11"),
        ),
        (
            JobFilter { limit: 11, queue, filter, ..JobFilter::default() },
            "'$.n == 5', 'default', '{}', '{}', 11, null".to_owned(),
        ),
    ] {
        store.jobs(&of).await.unwrap();
        let statement = last_statement(&database).await;
        session.execute(&format!("deallocate all; prepare listing as {statement}")).await;
        // More than the five calls after which a plan is settled.
        for _ in 0..7 {
            let execute = format!("execute listing({arguments})");
            let touched = fewest_pages(&mut session, &execute, 8_000).await;
            assert!(touched < 8_000, "{of:?} touched {touched} pages");
        }
    }
    for queue in [None, Some("default")] {
        store.dead_letters(queue, None, 11).await.unwrap();
        let statement = last_statement(&database).await;
        session.execute(&format!("deallocate all; prepare listing as {statement}")).await;
        let name = queue.map_or("null".to_owned(), |queue| format!("'{queue}'"));
        for _ in 0..7 {
            let execute = format!(
                "execute listing('', 0, '00000000-0000-0000-0000-000000000000', 0, {name}, 11)"
            );
            let touched = fewest_pages(&mut session, &execute, 500).await;
            assert!(touched < 500, "{queue:?} touched {touched} pages");
        }
    }
}
