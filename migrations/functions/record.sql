-- Closes attempts and moves their tasks by the table of finish, with the history, the snapshots, the
-- retries and the dead letters; what follows from tasks that ended is left to the caller, and so are
-- the tasks whose next state is ready: they are put to blocked, for make_ready.
-- Called by finish, which holds the jobs' rows, and by conclude_all, in a consumer's transaction, which
-- holds those of one-task jobs only: nothing here is written but the rows of the task itself.
-- An attempt without an agent is closed by p_session null. p_retry_at overrules the backoff.
create or replace function postq.record(
    p_attempt bigint[], p_session bigint[], p_job uuid[], p_n int[], p_outcome text[],
    p_exit_code int[], p_signal int[], p_reason text[], p_results bytea[], p_errors bytea[],
    p_content bytea[], p_provenance bytea[], p_times bytea[], p_ran_ms bigint[],
    p_log_chunks bigint[], p_is_final boolean[], p_result jsonb[], p_retry_at timestamptz[],
    p_image text[] default '{}', p_effort jsonb[] default '{}',
    out o_attempt bigint[], out o_job uuid[], out o_n int[], out o_agent uuid[],
    out o_next postq.task_state[], out o_due timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_row tid[];
    v_closed record;
    v_dead text[];
begin
    -- A statement of its own: one that locks a row which somebody has just changed does not see it changed.
    select array_agg(x.row order by x.ord) into v_row
    from (select u.ord, (select o.ctid from postq.open_attempt o
                         where o.job = u.job and o.n = u.n and o.attempt = u.attempt
                           and o.session is not distinct from u.session for update) as row
          from (select * from unnest(p_attempt, p_session, p_job, p_n) with ordinality as u (attempt, session, job, n, ord)
                order by u.job, u.n, u.attempt) u) x;
    if 'succeeded' = all (p_outcome) then
        v_closed := postq.record_success(v_row, p_attempt, p_session, p_job, p_n, p_exit_code, p_signal, p_reason, p_results,
            p_errors, p_content, p_provenance, p_times, p_ran_ms, p_log_chunks, p_result, p_image, p_effort);
        o_attempt := v_closed.o_attempt;
        o_job := v_closed.o_job;
        o_n := v_closed.o_n;
        o_agent := v_closed.o_agent;
        o_next := v_closed.o_next;
        perform postq.leave_slots(o_attempt);
        return;
    end if;
    with input as (
        select * from unnest(
            p_attempt, p_session, p_job, p_n, p_outcome::postq.outcome[], p_exit_code, p_signal,
            p_reason, p_results, p_errors, p_content, p_provenance, p_times, p_ran_ms,
            p_log_chunks, p_is_final, p_result, p_retry_at, p_image, p_effort, v_row
        ) with ordinality as u (attempt, session, job, n, outcome, exit_code, signal, reason, results,
             errors, content, provenance, times, ran_ms, log_chunks, is_final, result, retry_at, image, effort, row, ord)
    ), closed as materialized (
        select i.*, o.agent, o.started_at, o.is_final as is_last
        from (select distinct on (i.job, i.n, i.attempt) i.* from input i where i.row is not null
              order by i.job, i.n, i.attempt, i.ord) i
        cross join lateral (select o.agent, o.started_at, o.is_final from postq.open_attempt o where o.ctid = i.row offset 0) o
    ), deleted as (
        delete from postq.open_attempt o where o.ctid = any (v_row)
    ), meant as (
        select c.*, j.queue, j.cancel_requested_at is not null as is_cancelled, j.overdue,
               case when j.overdue is not null and c.outcome = 'cancelled' then 'timed_out'
                    -- Given back after it was started, by an agent that leaves.
                    when c.outcome = 'released' and c.is_last and (c.exit_code is not null or c.signal is not null)
                        then 'lost'
                    else c.outcome end::postq.outcome as ended
        from closed c join postq.job j on j.id = c.job
    ), decided as (
        select m.*, s as spec,
               t.attempts + (m.ended not in ('lost', 'released'))::int as attempts,
               t.crashes + (m.ended = 'lost')::int as crashes
        from meant m
        join postq.task t on t.job = m.job and t.n = m.n
        join postq.task_spec s on s.job = m.job and s.n = m.n
    ), judged as (
        select d.*, (case
            when d.ended = 'succeeded' then 'succeeded'
            when d.overdue is not null then 'failed'
            when d.is_cancelled then 'cancelled'
            when d.ended = 'released' then 'ready'
            when d.is_last then 'failed'
            when d.ended = 'lost' then case when d.crashes < (d.spec).crash_limit then 'ready' else 'failed' end
            when d.is_final is not true and ((d.spec).max_attempts = -1 or d.attempts < (d.spec).max_attempts)
                and postq.is_retried(d.spec, d.ended, d.exit_code) then 'scheduled'
            else 'failed' end)::postq.task_state as next
        from decided d
    ), verdict as (
        select j.*, case
            when j.next = 'succeeded' then null
            when j.next = 'failed' and j.overdue is not null then 'the job ' || case j.overdue
                when 'expired' then 'has expired' else 'timed out' end
            when j.next = 'failed' and j.ended = 'lost' and j.is_last then
                format('lost with its agent, and not tried again because it is delivered at most once: %s', j.reason)
            when j.next = 'failed' and j.ended = 'lost' then
                format('lost %s times with its agent, which is the limit; last: %s', j.crashes, j.reason)
            else j.reason end as told
        from judged j
    ), recorded as (
        insert into postq.attempt (id, job, n, agent, session, started_at, finished_at, outcome,
            exit_code, signal, reason, results, errors, ran_ms, log_chunks, result, image, effort)
        select v.attempt, v.job, v.n, v.agent, v.session, v.started_at, postq.now(), v.ended,
            v.exit_code, v.signal, v.reason, v.results, v.errors, v.ran_ms, v.log_chunks, v.result, v.image, v.effort
        from verdict v
    ), kept as (
        insert into postq.snapshot (job, n, content, provenance, times)
        select v.job, v.n, v.content, v.provenance, v.times
        from verdict v where v.next = 'succeeded' and v.content is not null
    ), moved as (
        update postq.task t
        set state = case when v.next = 'ready' then 'blocked' else v.next end,
            attempts = v.attempts,
            crashes = v.crashes,
            -- As next_revision has it; a function in each row takes longer than all the rest.
            revision = p.revision + 1,
            run_at = case when v.next = 'scheduled' then coalesce(v.retry_at, postq.now() + make_interval(
                secs => postq.pause_ms(v.spec, v.attempts, random()) / 1000.0)) end,
            finished_at = case when v.next in ('succeeded', 'failed', 'cancelled') then postq.now() end,
            reason = v.told
        from verdict v cross join lateral postq.progress_of(v.job) p
        where t.job = v.job and t.n = v.n
        returning t.job, t.n, t.run_at, t.lane, v.attempt, v.agent, v.next, v.ord
    ), waiting as (
        insert into postq.scheduled (run_at, job, n, lane)
        select m.run_at, m.job, m.n, m.lane from moved m where m.next = 'scheduled'
    ), buried as (
        insert into postq.dead_letter (job, n, queue, task, reason, attempts, died_at)
        select v.job, v.n, v.queue, coalesce(s.spec ->> 'handler', s.name), v.told,
               v.attempts + v.crashes, postq.now()
        from verdict v join postq.task_spec s on s.job = v.job and s.n = v.n
        where v.next = 'failed' and postq.keeps_dead_letters(v.queue)
        returning queue
    )
    select coalesce(array_agg(m.attempt order by m.ord), '{}'), coalesce(array_agg(m.job order by m.ord), '{}'),
           coalesce(array_agg(m.n order by m.ord), '{}'), coalesce(array_agg(m.agent order by m.ord), '{}'),
           coalesce(array_agg(m.next order by m.ord), '{}'), min(m.run_at), (select array_agg(b.queue) from buried b)
    into o_attempt, o_job, o_n, o_agent, o_next, o_due, v_dead
    from moved m;

    perform postq.leave_slots(o_attempt);
    if v_dead is not null then
        perform postq.wake('dlq@' || q.queue, count(*)::int) from unnest(v_dead) as q (queue) group by q.queue;
    end if;
end;
$$;
revoke all on function postq.record(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[],
    bytea[], bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[],
    timestamptz[], text[], jsonb[]) from public;
