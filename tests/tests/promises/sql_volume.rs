//! A large history costs nothing: with very many jobs that have ended and many that wait, what takes, ends,
//! sweeps and finds reads by index, and as many pages as it has to. Counted in pages, not in time.
//!
//! `POSTQ_SOAK=1` makes it 1,000,000 jobs that have ended and 100,000 that wait; without it there is a tenth.

use std::env;

use postq_tests::{Database, Session, Worker, finish_on};

/// Jobs of one task as publish and ack leave them, on tables that were analysed while they were empty.
async fn fill(database: &Database, ended: usize, waiting: usize) {
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
    let all = ended + waiting;
    database
        .execute(&format!(
            "select postq.lane_of('default', 0, 'handler', 'mail');
             create temporary table made as
             select postq.new_id() as id, n, n <= {ended} as has_ended from generate_series(1, {all}) n;
             insert into postq.job (id, queue, priority, state, created_at, started_at, finished_at)
             select id, 'default', 0, case when has_ended then 'succeeded' else 'queued' end::postq.state_of_job,
                    now(), case when has_ended then now() end, case when has_ended then now() end from made order by n;
             insert into postq.job_spec (job, name, task_count, spec, attributes, digest)
             select id, 'mail', 1, '{{}}', jsonb_build_object('n', n, 'team', 't' || n % 1000), '' from made order by n;
             insert into postq.job_progress (job, revision, open, failed, cancelled)
             select id, 1, case when has_ended then 0 else 1 end, 0, 0 from made order by n;
             insert into postq.task_spec (job, n, name, run_if, max_attempts, crash_limit, backoff_ms,
                 max_backoff_ms, depends, parents, has_workspace, spec)
             select id, 0, 'mail', 'succeeded', 3, 5, 0, 0, '{{}}', '{{}}', false, '{{\"handler\": \"mail\"}}'
             from made order by n;
             insert into postq.attempt (id, job, n, started_at, finished_at, outcome)
             select nextval('postq.attempt_id'), id, 0, now(), now(), 'succeeded' from made where has_ended order by n;
             with entered as (
                 insert into postq.task (job, n, state, lane, seq, revision, started_at, finished_at)
                 select id, 0, case when has_ended then 'succeeded' else 'ready' end::postq.task_state,
                        (select id from postq.lane), case when not has_ended then nextval('postq.ready_seq') end, 1,
                        case when has_ended then now() end, case when has_ended then now() end
                 from made order by n
                 returning job, lane, seq
             )
             insert into postq.ready (lane, seq, job, n) select lane, seq, job, 0 from entered where seq is not null;
             drop table made"
        ))
        .await;
}

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

/// Reads of whole tables since the transaction began: all but those that are always small.
const WHOLE_READS: &str = "
    select coalesce(array_agg(relname || ' ' || seq_scan), '{}') from pg_stat_xact_user_tables
    where schemaname = 'postq' and seq_scan > 0
      and relname not in ('agent', 'coordinator', 'lane', 'lane_fold', 'inbox', 'sleeper', 'vacancy', 'queue',
                          'job_after', 'job_wait', 'unique_key', 'opening', 'test_clock')";

/// What is done all the time, and the pages it may touch, whatever there is.
const STATEMENTS: [(&str, i64); 9] = [
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
];

#[tokio::test]
async fn a_long_history_costs_nothing_soak() {
    let (ended, waiting) = match env::var_os("POSTQ_SOAK") {
        Some(_) => (1_000_000, 100_000),
        None => (100_000, 10_000),
    };
    let database = Database::create().await;
    fill(&database, ended, waiting).await;
    let worker = Worker::connect(&database).await;
    let mut session = database.session().await;
    // More than the five calls after which a plan is settled.
    for round in 0..7 {
        session.execute("begin").await;
        let claimed = worker.claim_on(&mut session.connection, 20).await.unwrap();
        assert_eq!(claimed.len(), 20);
        let ends: Vec<_> = claimed.iter().map(|one| (one, "succeeded".into())).collect();
        finish_on(&mut session.connection, &ends).await.unwrap();
        assert_eq!(session.value::<Vec<String>>(WHOLE_READS).await, [""; 0], "claim and finish");
        session.execute("commit").await;
        for (statement, most) in STATEMENTS {
            let touched = fewest_pages(&mut session, statement, most).await;
            assert!(round == 0 || touched < most, "{statement} touched {touched} pages");
            session.execute("begin").await;
            session.execute(statement).await;
            let whole = session.value::<Vec<String>>(WHOLE_READS).await;
            assert_eq!(whole, [""; 0], "{statement}");
            session.execute("rollback").await;
        }
    }
}
