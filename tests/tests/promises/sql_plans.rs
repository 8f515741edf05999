//! Hot functions stay cheap whatever the statistics say and however many dead rows lie about.
//! Counted in rows and pages, not in time.

use std::time::Instant;

use postq_tests::{Database, End, Worker, finish_on};

use crate::filled::{Filling, analyse_for_the_last_time, fill, whole_reads};

/// How many tasks wait.
const WAITING: i64 = 100_000;
/// How many of them a call takes.
const TAKEN: usize = 100;

/// Ten jobs with many ready tasks.
const FILLING: Filling =
    Filling { ended: 0, dead: 0, waiting: 10, tasks: WAITING as usize / 10, handler: None };

fn claim(worker: &Worker, after: i64) -> String {
    format!(
        "select * from postq.claim(array[1::bigint], array[{after}::bigint],
             array_fill(1::bigint, array[{TAKEN}]), array_fill({}::bigint, array[{TAKEN}]))",
        worker.session
    )
}

#[tokio::test]
async fn claim_and_finish_read_by_index_on_tables_that_were_empty_when_analysed() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let worker = Worker::connect(&database).await;
    let mut session = database.session().await;
    // More than the five calls after which a plan is settled.
    for _ in 0..8 {
        session.execute("begin").await;
        let claimed = worker.claim_on(&mut session.connection, TAKEN).await.unwrap();
        assert_eq!(claimed.len(), TAKEN);
        assert_eq!(whole_reads(&mut session).await, [""; 0]);
        session.execute("commit; begin").await;
        let ends: Vec<_> = (0..)
            .zip(&claimed)
            .map(|(n, one): (usize, _)| (one, ["succeeded", "failed", "lost"][n % 3].into()))
            .collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        assert_eq!(whole_reads(&mut session).await, [""; 0]);
        session.execute("commit; begin; update postq.test_clock set ahead = ahead + '1 day'").await;
        session.execute("select postq.promote('-infinity', 1000)").await;
        assert_eq!(whole_reads(&mut session).await, [""; 0]);
        session.execute("commit").await;
    }
}

#[tokio::test]
async fn a_claim_from_its_cursor_does_not_walk_over_dead_rows_that_somebody_holds() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let worker = Worker::connect(&database).await;
    let mut session = database.session().await;
    let clean = session.pages(&claim(&worker, 0)).await;

    let mut holder = database.session().await;
    holder.execute("begin isolation level repeatable read; select count(*) from postq.job").await;
    let dead = WAITING - 1000;
    database.execute(&format!("delete from postq.ready where seq <= {dead}")).await;
    database.execute("vacuum postq.ready").await;
    let held = session.pages(&claim(&worker, dead)).await;
    assert!(held < clean * 2, "{clean} pages before, {held} with dead rows");

    // Without a cursor every one of them would be walked over: the test sees what it is to see.
    session.execute("begin").await;
    let walked = session.pages(&claim(&worker, 0)).await;
    session.execute("rollback").await;
    assert!(walked > held + 300, "{held} from the cursor, {walked} from the start");
}

#[tokio::test]
async fn a_claim_touches_pages_by_what_it_takes_not_by_what_waits() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let worker = Worker::connect(&database).await;
    let mut session = database.session().await;
    let first = session.pages(&claim(&worker, 0)).await;
    assert!(first < 60 * i64::try_from(TAKEN).unwrap(), "{first} pages");
}

#[tokio::test]
async fn what_comes_next_is_read_by_index_and_no_further_than_it_is_looked_at() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let mut session = database.session().await;
    let look = "select * from postq.upcoming(array[1::bigint], array[7::bigint], 64)";
    // The first call plans.
    session.pages(look).await;
    let pages = session.pages(look).await;
    assert!(pages < 64 * 8, "{pages} pages");
    session.execute("begin").await;
    let seen: Vec<i64> =
        session.value(&format!("select array_agg(seq order by seq) from ({look}) x")).await;
    assert_eq!(seen, (8..72).collect::<Vec<_>>());
    assert_eq!(whole_reads(&mut session).await, [""; 0]);
    session.execute("select postq.pause('default')").await;
    assert_eq!(session.value::<i64>(&format!("select count(*) from ({look}) x")).await, 0);
    session.execute("rollback").await;
}

/// Microseconds that claiming and finishing takes a new session per task, when so many jobs of one task are
/// taken at a time.
async fn cost_of_each(database: &Database, worker: &Worker, at_once: usize) -> f64 {
    let many = "select count(*) from postq.submit_many(array(
        select '{\"tasks\": {\"a\": {\"command\": \"true\"}}}'::jsonb from generate_series(1, 512)))";
    database.value::<i64>(many).await;
    let mut session = database.session().await;
    let began = Instant::now();
    let mut done = 0;
    while done < 512 {
        let claimed = worker.claim_on(&mut session.connection, at_once).await.unwrap();
        let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        done += claimed.len();
    }
    began.elapsed().as_secs_f64() * 1e6 / 512.0
}

/// With loops over loops in it a task cost four times as much among 512 as among 64. Tables that were drained
/// when they were analysed, though they have pages, invite to them.
#[tokio::test]
async fn a_task_costs_no_more_when_many_are_taken_at_once() {
    for is_analysed in [false, true] {
        let database = Database::create().await;
        let worker = Worker::connect(&database).await;
        cost_of_each(&database, &worker, 512).await;
        if is_analysed {
            analyse_for_the_last_time(&database).await;
        }
        let (mut few, mut many) = (f64::MAX, f64::MAX);
        for _ in 0..5 {
            few = few.min(cost_of_each(&database, &worker, 64).await);
            many = many.min(cost_of_each(&database, &worker, 512).await);
        }
        assert!(
            many < few * 1.8,
            "{few:.0} us among 64, {many:.0} us among 512, analysed: {is_analysed}"
        );
    }
}
