//! Consuming stays cheap whatever the statistics say, however much has been done before, and while
//! somebody holds back the horizon. Counted in pages, not in time.

use postq_tests::{Database, PATIENCE, eventually};

use crate::consumer::{consume, take};

/// How many tasks wait, and how many have been done.
const WAITING: i64 = 30_000;
const DONE: i64 = 30_000;

/// Makes jobs of one task as publish does; those that are done have no rows in the hot tables.
async fn fill(database: &Database) {
    let tables: Vec<String> = database
        .value(
            "select array_agg(oid::regclass::text) from pg_class
             where relnamespace = 'postq'::regnamespace and relkind = 'r'",
        )
        .await;
    for table in tables {
        let off = format!("alter table {table} set (autovacuum_enabled = false); analyze {table}");
        database.execute(&off).await;
    }
    let (all, first) = (DONE + WAITING, DONE + 1);
    database
        .execute(&format!(
            "select postq.lane_of('default', 0, 'handler', 'mail');
             create temporary table made as
             select postq.new_id() as id, n from generate_series(1, {all}) n;
             insert into postq.job (id, queue, priority, state, created_at, finished_at)
             select id, 'default', 0, case when n < {first} then 'succeeded' else 'queued' end::postq.state_of_job,
                    now(), case when n < {first} then now() end from made;
             insert into postq.job_spec (job, name, task_count, spec, attributes, digest)
             select id, 'mail', 1, '{{}}', '{{}}', '' from made;
             insert into postq.job_progress (job, revision, open, failed, cancelled)
             select id, 1, case when n < {first} then 0 else 1 end, 0, 0 from made;
             insert into postq.task_spec (job, n, name, run_if, max_attempts, crash_limit, backoff_ms,
                 max_backoff_ms, depends, parents, has_workspace, spec)
             select id, 0, 'mail', 'succeeded', 3, 5, 0, 0, '{{}}', '{{}}', false, '{{\"handler\": \"mail\"}}' from made;
             insert into postq.attempt (id, job, n, started_at, finished_at, outcome)
             select nextval('postq.attempt_id'), id, 0, now(), now(), 'succeeded' from made where n < {first};
             with entered as (
                 insert into postq.task (job, n, state, lane, seq, revision, finished_at)
                 select id, 0, case when n < {first} then 'succeeded' else 'ready' end::postq.task_state,
                        (select id from postq.lane), case when n >= {first} then nextval('postq.ready_seq') end, 1,
                        case when n < {first} then now() end
                 from made order by n
                 returning job, lane, seq
             )
             insert into postq.ready (lane, seq, job, n) select lane, seq, job, 0 from entered where seq is not null;
             drop table made"
        ))
        .await;
}

/// Reads of whole tables since the transaction began: all but those that are always small.
const WHOLE_READS: &str = "
    select coalesce(array_agg(relname || ' ' || seq_scan), '{}') from pg_stat_xact_user_tables
    where schemaname = 'postq' and seq_scan > 0
      and relname not in ('agent', 'coordinator', 'lane', 'inbox', 'sleeper', 'test_clock')";

const CONSUME: &str = "select * from postq.consume(10)";
const ACK_ALL: &str = "select count(*) from (select job, attempt from postq.open_attempt) o
    cross join lateral postq.ack(o.job, o.attempt)";

#[tokio::test]
async fn consumers_read_by_index_on_tables_that_were_empty_when_analysed() {
    let database = Database::create().await;
    fill(&database).await;
    let mut session = database.session().await;
    // More than the five calls after which a plan is settled.
    for round in 0..8 {
        session.execute("begin").await;
        let taken = consume(&mut session.connection, "9").await;
        assert_eq!(session.value::<Vec<String>>(WHOLE_READS).await, [""; 0]);
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
        assert_eq!(session.value::<Vec<String>>(WHOLE_READS).await, [""; 0]);
        session.execute("commit; begin; update postq.test_clock set ahead = ahead + '10 s'").await;
        for verb in [
            "expire_leases(100)",
            "promote('-infinity', 1)",
            "queue_depth('default')",
            "next_lease_ms()",
        ] {
            session.execute(&format!("select postq.{verb}")).await;
            assert_eq!(session.value::<Vec<String>>(WHOLE_READS).await, [""; 0], "{verb}");
        }
        session.execute("commit").await;
    }
}

#[tokio::test]
async fn a_consume_touches_pages_by_what_it_takes() {
    let database = Database::create().await;
    fill(&database).await;
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
    fill(&database).await;
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
