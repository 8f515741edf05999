//! Databases with very much in them, written as the functions would leave it, on tables that were analysed while
//! they were empty: what the planner believes of them is wrong.

use postq_tests::{Database, Session};

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    /// Jobs of one task that have ended.
    pub(crate) ended: usize,
    /// So many of them have failed and left a dead letter.
    pub(crate) dead: usize,
    /// Jobs that wait, and the ready tasks of each.
    pub(crate) waiting: usize,
    pub(crate) tasks: usize,
    /// What their tasks call; none: a shell.
    pub(crate) handler: Option<&'static str>,
}

/// Analyses all tables, and keeps anybody else from doing so later.
pub(crate) async fn analyse_for_the_last_time(database: &Database) {
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
}

/// Puts so much into the queue `default`. Every job has a number `n` and one of 1000 teams.
pub(crate) async fn fill(database: &Database, filling: Filling) {
    analyse_for_the_last_time(database).await;
    let Filling { ended, dead, waiting, tasks, handler } = filling;
    let executor = if handler.is_some() { "handler" } else { "shell" };
    let handler = handler.map_or("null".to_owned(), |handler| format!("'{handler}'"));
    let all = ended + waiting;
    database
        .execute(&format!(
            "select postq.lane_of('default', 0, '{executor}', {handler});
             create temporary table made as
             select id, n, n <= {ended} as has_ended, n <= {dead} as is_dead,
                    case when n <= {dead} then 'failed' when n <= {ended} then 'succeeded' end as outcome,
                    case when n <= {ended} then now() end as at, case when n <= {ended} then 1 else {tasks} end as tasks
             from (select postq.new_id() as id, n from generate_series(1, {all}) n offset 0) m;
             insert into postq.job (id, queue, priority, state, created_at, started_at, finished_at)
             select id, 'default', 0, coalesce(outcome, 'queued')::postq.state_of_job, now(), at, at from made order by n;
             insert into postq.job_spec (job, name, task_count, spec, attributes, digest)
             select id, 'made', tasks, '{{}}', jsonb_build_object('n', n, 'team', 't' || n % 1000), '' from made order by n;
             insert into postq.job_progress (job, revision, open, failed, cancelled)
             select id, 1, case when has_ended then 0 else tasks end, is_dead::int, 0 from made order by n;
             insert into postq.task_spec (job, n, name, run_if, max_attempts, crash_limit, backoff_ms,
                 max_backoff_ms, depends, parents, has_workspace, spec)
             select id, t, 't' || t, 'succeeded', 3, 5, 0, 0, '{{}}', '{{}}', {handler}::text is null,
                    jsonb_strip_nulls(jsonb_build_object('handler', {handler}::text))
             from made, generate_series(0, tasks - 1) t order by n, t;
             insert into postq.attempt (id, job, n, started_at, finished_at, outcome)
             select nextval('postq.attempt_id'), id, 0, at, at, outcome::postq.outcome from made where has_ended order by n;
             insert into postq.dead_letter (job, n, queue, task, attempts, died_at)
             select id, 0, 'default', 't0', 1, at + n * interval '1 us' from made where is_dead order by n;
             with entered as (
                 insert into postq.task (job, n, state, lane, seq, revision, started_at, finished_at)
                 select id, t, coalesce(outcome, 'ready')::postq.task_state, (select id from postq.lane),
                        case when not has_ended then nextval('postq.ready_seq') end, 1, at, at
                 from (select * from made, generate_series(0, tasks - 1) t order by t, n) x
                 returning job, n, lane, seq
             )
             insert into postq.ready (lane, seq, job, n) select lane, seq, job, n from entered where seq is not null;
             drop table made"
        ))
        .await;
}

/// Reads of whole tables since the transaction began: all but those that are always small.
pub(crate) async fn whole_reads(session: &mut Session) -> Vec<String> {
    session
        .value(
            "select coalesce(array_agg(relname || ' ' || seq_scan), '{}') from pg_stat_xact_user_tables
             where schemaname = 'postq' and seq_scan > 0
               and relname not in ('agent', 'coordinator', 'lane', 'lane_fold', 'inbox', 'sleeper', 'vacancy', 'queue',
                                   'job_after', 'job_wait', 'unique_key', 'opening', 'test_clock', 'schedule')",
        )
        .await
}
