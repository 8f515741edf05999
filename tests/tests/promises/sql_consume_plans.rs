//! Consuming stays cheap whatever the statistics say, however much has been done before, and while
//! somebody holds back the horizon. Counted in pages, not in time.

use std::time::Instant;

use postq_tests::{Database, PATIENCE, eventually};

use crate::{
    consumer::{consume, take},
    filled::{Filling, analyse_for_the_last_time, fill, whole_reads},
};

const FILLING: Filling =
    Filling { ended: 30_000, dead: 0, waiting: 30_000, tasks: 1, handler: Some("mail") };

const CONSUME: &str = "select * from postq.consume(10)";
const ACK_ALL: &str = "select count(*) from (select job, attempt from postq.open_attempt) o
    cross join lateral postq.ack(o.job, o.attempt)";

#[tokio::test]
async fn consumers_read_by_index_on_tables_that_were_empty_when_analysed() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let mut session = database.session().await;
    // More than the five calls after which a plan is settled.
    for round in 0..8 {
        session.execute("begin").await;
        let taken = consume(&mut session.connection, "9").await;
        assert_eq!(whole_reads(&mut session).await, [""; 0]);
        session.execute("commit; begin").await;
        for (one, word) in taken.iter().zip(["ack", "nack", "release"].into_iter().cycle()) {
            let word = match word {
                "ack" => one.ack(),
                "nack" => one.nack("no"),
                _ if round % 2 == 0 => one.release(),
                _ => one.renew("1 s"),
            };
            session.execute(&word).await;
        }
        assert_eq!(whole_reads(&mut session).await, [""; 0]);
        session.execute("commit; begin; update postq.test_clock set ahead = ahead + '10 s'").await;
        for verb in [
            "expire_leases(100)",
            "promote('-infinity', 1)",
            "queue_depth('default')",
            "next_lease_ms()",
        ] {
            session.execute(&format!("select postq.{verb}")).await;
            assert_eq!(whole_reads(&mut session).await, [""; 0], "{verb}");
        }
        session.execute("commit").await;
    }
}

#[tokio::test]
async fn a_consume_touches_pages_by_what_it_takes() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let mut session = database.session().await;
    consume(&mut session.connection, "10").await;
    let touched = session.pages(CONSUME).await;
    assert!(touched < 1000, "{touched} pages for ten tasks");
}

/// DQ27: an open transaction of somebody else keeps dead rows from being cleared away; consumers do not
/// walk over them once a sweep has moved the floors.
#[tokio::test]
async fn consumers_do_not_walk_over_dead_rows_that_somebody_holds() {
    let database = Database::create().await;
    fill(&database, FILLING).await;
    let mut session = database.session().await;
    consume(&mut session.connection, "10").await;
    let clean = session.pages(CONSUME).await;
    session.execute(ACK_ALL).await;

    let mut holder = database.session().await;
    holder.execute("begin isolation level repeatable read; select count(*) from postq.job").await;
    for _ in 0..3 {
        assert_eq!(consume(&mut session.connection, "3000").await.len(), 3000);
        session.execute(ACK_ALL).await;
    }
    // Leases that were over, too, lie about.
    database.advance_clock("10 min").await;
    let walked = session.pages(CONSUME).await;
    let lane = "select floor > 9000 and lease_floor > now() from postq.lane";
    eventually("floors that have moved", PATIENCE, async || {
        database.session().await.execute("select postq.sweep()").await;
        database.value::<bool>(lane).await.then_some(())
    })
    .await;
    let held = session.pages(CONSUME).await;
    assert!(held < clean * 2, "{clean} pages before, {held} with dead rows");
    assert!(walked > held + 100, "{walked} from the old floors, {held} from the new ones");
    take(&database, "1").await;
}

/// Microseconds for each of so many tasks that a new session takes and acks at once.
async fn cost_of_each(database: &Database, count: i32, when: &str) -> f64 {
    let publish = format!(
        "select count(*) from postq.publish_bulk(array(
             select row('x', null, {when}, null, null, null, null, null)::postq.bulk_job from generate_series(1, {count})))"
    );
    assert_eq!(database.value::<i64>(&publish).await, i64::from(count));
    database.advance_clock("1 min").await;
    let mut session = database.session().await;
    let began = Instant::now();
    let taken = consume(&mut session.connection, &count.to_string()).await;
    assert_eq!(taken.len(), usize::try_from(count).unwrap());
    let acked: i64 = session
        .value(
            "select count(*)
             from (select array_agg(job) as jobs, array_agg(attempt) as attempts from postq.open_attempt) o,
                  postq.ack_many(o.jobs, o.attempts)",
        )
        .await;
    assert_eq!(acked, i64::from(count));
    began.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

/// A queue is empty most of the time, and so its tables are when they are analysed, though they have pages.
/// The planner takes it that they are empty still, and that reading them whole in a loop costs nothing.
#[tokio::test]
async fn a_task_costs_a_consumer_no_more_among_many_on_tables_that_were_drained_when_analysed() {
    for when in ["null", "postq.now() + interval '1 s'"] {
        let database = Database::create().await;
        cost_of_each(&database, 1000, when).await;
        analyse_for_the_last_time(&database).await;
        let (mut few, mut many) = (f64::MAX, f64::MAX);
        for _ in 0..3 {
            few = few.min(cost_of_each(&database, 100, when).await);
            many = many.min(cost_of_each(&database, 2000, when).await);
        }
        assert!(many < few * 1.5, "{when}: {few:.0} us among 100, {many:.0} us among 2000");
    }
}
