-- Records how attempts ended, and everything that follows, in one transaction. May be sent again:
-- an attempt is recorded once. Called by the committer with what has arrived from all agents.
--
-- An attempt is closed where it is open under exactly the given number and session; else its verdict
-- is `repeated` (recorded before) or `stale` (somebody else's by now), and nothing happens.
--
-- | outcome              | job was asked to cancel | else                                                  |
-- |----------------------|-------------------------|-------------------------------------------------------|
-- | succeeded            | succeeded               | succeeded                                             |
-- | failed, timed_out,   | cancelled               | scheduled while attempts are left and it is not final, |
-- | cancelled            |                         | then failed                                           |
-- | lost                 | cancelled               | ready while below the crash limit, then failed        |
-- | released             | cancelled               | ready, uncounted                                      |
--
-- Returns {"verdicts": [[attempt, verdict]], "ready": [[lane, seq]], "ended": [job],
-- "due_ms": milliseconds until the first retry or null}.
create or replace function postq.finish(
    p_attempt bigint[], p_session bigint[], p_job uuid[], p_n int[], p_outcome text[],
    p_exit_code int[], p_signal int[], p_reason text[], p_results bytea[], p_errors bytea[],
    p_content bytea[], p_provenance bytea[], p_times bytea[], p_ran_ms bigint[],
    p_log_chunks bigint[], p_is_final boolean[]
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_closed bigint[];
    v_job uuid[];
    v_n int[];
    v_agent uuid[];
    v_next postq.task_state[];
    v_settled record;
    v_ready jsonb;
    v_due timestamptz;
    v_ended uuid[];
    v_verdicts jsonb;
begin
    perform 1 from postq.job j where j.id = any (p_job) order by j.id for update;

    with input as (
        select * from unnest(
            p_attempt, p_session, p_job, p_n, p_outcome::postq.outcome[], p_exit_code, p_signal,
            p_reason, p_results, p_errors, p_content, p_provenance, p_times, p_ran_ms,
            p_log_chunks, p_is_final
        ) with ordinality as u (attempt, session, job, n, outcome, exit_code, signal, reason, results,
             errors, content, provenance, times, ran_ms, log_chunks, is_final, ord)
    ), closed as (
        delete from postq.open_attempt o
        using (select distinct on (i.job, i.n) i.* from input i
               join postq.open_attempt o on o.job = i.job and o.n = i.n
                and o.attempt = i.attempt and o.session = i.session
               order by i.job, i.n, i.ord) i
        where o.job = i.job and o.n = i.n and o.attempt = i.attempt and o.session = i.session
        returning i.*, o.agent, o.started_at
    ), decided as (
        select c.*, j.cancel_requested_at is not null as is_cancelled,
               t.attempts + (c.outcome not in ('lost', 'released'))::int as attempts,
               t.crashes + (c.outcome = 'lost')::int as crashes,
               s.max_attempts, s.crash_limit, s.backoff_ms, s.max_backoff_ms
        from closed c
        join postq.job j on j.id = c.job
        join postq.task t on t.job = c.job and t.n = c.n
        join postq.task_spec s on s.job = c.job and s.n = c.n
    ), verdict as (
        select d.*, (case
            when d.outcome = 'succeeded' then 'succeeded'
            when d.is_cancelled then 'cancelled'
            when d.outcome = 'released' then 'ready'
            when d.outcome = 'lost' then case when d.crashes < d.crash_limit then 'ready' else 'failed' end
            when d.is_final is not true and (d.max_attempts = -1 or d.attempts < d.max_attempts) then 'scheduled'
            else 'failed' end)::postq.task_state as next
        from decided d
    ), recorded as (
        insert into postq.attempt (id, job, n, agent, session, started_at, finished_at, outcome,
            exit_code, signal, reason, results, errors, ran_ms, log_chunks)
        select v.attempt, v.job, v.n, v.agent, v.session, v.started_at, postq.now(), v.outcome,
            v.exit_code, v.signal, v.reason, v.results, v.errors, v.ran_ms, v.log_chunks
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
            revision = postq.next_revision(v.job),
            run_at = case when v.next = 'scheduled' then postq.now() + make_interval(
                secs => postq.backoff_ms(v.backoff_ms, v.max_backoff_ms, v.attempts, random()) / 1000.0) end,
            finished_at = case when v.next in ('succeeded', 'failed', 'cancelled') then postq.now() end,
            reason = case
                when v.next = 'succeeded' then null
                when v.outcome = 'lost' and v.next = 'failed' then
                    format('lost %s times with its agent, which is the limit; last: %s', v.crashes, v.reason)
                else v.reason end
        from verdict v
        where t.job = v.job and t.n = v.n
        returning t.job, t.n, t.run_at, v.attempt, v.agent, v.next, v.ord
    ), waiting as (
        insert into postq.scheduled (run_at, job, n)
        select m.run_at, m.job, m.n from moved m where m.next = 'scheduled'
    )
    select coalesce(array_agg(m.attempt order by m.ord), '{}'), coalesce(array_agg(m.job order by m.ord), '{}'),
           coalesce(array_agg(m.n order by m.ord), '{}'), coalesce(array_agg(m.agent order by m.ord), '{}'),
           coalesce(array_agg(m.next order by m.ord), '{}'), min(m.run_at)
    into v_closed, v_job, v_n, v_agent, v_next, v_due
    from moved m;

    select * into v_settled from postq.settle(
        array(select x.job from unnest(v_job, v_next) with ordinality as x (job, next, ord)
              where x.next in ('succeeded', 'failed', 'cancelled') order by x.ord),
        array(select x.n from unnest(v_n, v_next) with ordinality as x (n, next, ord)
              where x.next in ('succeeded', 'failed', 'cancelled') order by x.ord),
        array(select x.agent from unnest(v_agent, v_next) with ordinality as x (agent, next, ord)
              where x.next in ('succeeded', 'failed', 'cancelled') order by x.ord));
    v_ready := v_settled.o_ready || postq.make_ready(
        array(select x.job from unnest(v_job, v_next) with ordinality as x (job, next, ord)
              where x.next = 'ready' order by x.ord),
        array(select x.n from unnest(v_n, v_next) with ordinality as x (n, next, ord)
              where x.next = 'ready' order by x.ord),
        array(select null::uuid from unnest(v_next) as x (next) where x.next = 'ready'));
    v_ended := postq.advance(v_job, v_settled.o_ended_job, v_settled.o_ended_n);
    if v_due is not null then
        perform postq.hint('due');
    end if;

    select coalesce(jsonb_agg(jsonb_build_array(x.attempt, case
               when x.attempt = any (v_closed) then 'recorded'
               when exists (select from postq.attempt a where a.id = x.attempt) then 'repeated'
               else 'stale' end)), '[]')
    into v_verdicts
    from unnest(p_attempt) as x (attempt);
    return jsonb_build_object('verdicts', v_verdicts, 'ready', v_ready, 'ended', to_jsonb(v_ended),
        'due_ms', (extract(epoch from v_due - postq.now()) * 1000)::bigint);
end;
$$;
revoke all on function postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[],
    bytea[], bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[]) from public;
