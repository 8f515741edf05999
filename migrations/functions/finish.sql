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
-- p_retry_ms overrules the backoff of what is tried again.
-- Returns {"verdicts": [[attempt, verdict]], "ready": [[lane, seq]], "ended": [job],
-- "due_ms": milliseconds until the first retry or null}.
create or replace function postq.finish(
    p_attempt bigint[], p_session bigint[], p_job uuid[], p_n int[], p_outcome text[],
    p_exit_code int[], p_signal int[], p_reason text[], p_results bytea[], p_errors bytea[],
    p_content bytea[], p_provenance bytea[], p_times bytea[], p_ran_ms bigint[],
    p_log_chunks bigint[], p_is_final boolean[], p_result jsonb[] default '{}', p_image text[] default '{}',
    p_retry_ms bigint[] default '{}', p_effort jsonb[] default '{}'
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
    c_ended constant postq.task_state[] := array['succeeded', 'failed', 'cancelled'];
    v_retry_at timestamptz[] := '{}';
    v_closed record;
    v_next record;
    v_settled record;
    v_ready jsonb;
    v_ended uuid[];
    v_verdicts jsonb;
begin
    -- The jobs of stale reports are left alone: a consumer's open transaction may hold them.
    perform 1
    from (select distinct x.job from unnest(p_attempt, p_job, p_n) as x (attempt, job, n)
          cross join lateral (
              select from postq.open_attempt o where o.job = x.job and o.n = x.n and o.attempt = x.attempt offset 0) o
          order by x.job) x
    cross join lateral (select from postq.job j where j.id = x.job for update) j;

    if p_retry_ms <> '{}' then
        v_retry_at := array(select postq.now() + make_interval(secs => r.ms / 1000.0)
                            from unnest(p_retry_ms) with ordinality as r (ms, ord) order by r.ord);
    end if;
    v_closed := postq.record(
        p_attempt, p_session, p_job, p_n, p_outcome, p_exit_code, p_signal, p_reason, p_results, p_errors,
        p_content, p_provenance, p_times, p_ran_ms, p_log_chunks, p_is_final, p_result, v_retry_at, p_image, p_effort);
    if v_closed.o_next <@ c_ended then
        v_settled := postq.settle(v_closed.o_job, v_closed.o_n, v_closed.o_agent);
        v_ready := v_settled.o_ready;
    else
        select coalesce(array_agg(x.job order by x.ord) filter (where x.next = any (c_ended)), '{}') as ended_job,
               coalesce(array_agg(x.n order by x.ord) filter (where x.next = any (c_ended)), '{}') as ended_n,
               coalesce(array_agg(x.agent order by x.ord) filter (where x.next = any (c_ended)), '{}') as ended_agent,
               coalesce(array_agg(x.job order by x.ord) filter (where x.next = 'ready'), '{}') as ready_job,
               coalesce(array_agg(x.n order by x.ord) filter (where x.next = 'ready'), '{}') as ready_n,
               coalesce(array_agg(null::uuid) filter (where x.next = 'ready'), '{}') as ready_agent
        into v_next
        from unnest(v_closed.o_job, v_closed.o_n, v_closed.o_agent, v_closed.o_next) with ordinality as x (job, n, agent, next, ord);
        v_settled := postq.settle(v_next.ended_job, v_next.ended_n, v_next.ended_agent);
        v_ready := v_settled.o_ready || postq.make_ready(v_next.ready_job, v_next.ready_n, v_next.ready_agent);
    end if;
    v_ended := postq.advance(v_closed.o_job, v_settled.o_ended_job, v_settled.o_ended_n);
    v_ready := v_ready || postq.grant_vacant();
    if v_closed.o_due is not null then
        perform postq.hint('due');
    end if;

    select coalesce(jsonb_agg(jsonb_build_array(x.attempt, case
               when x.attempt = any (v_closed.o_attempt) then 'recorded'
               when exists (select from postq.attempt a where a.id = x.attempt) then 'repeated'
               else 'stale' end)), '[]')
    into v_verdicts
    from unnest(p_attempt) as x (attempt);
    return jsonb_build_object('verdicts', v_verdicts, 'ready', v_ready, 'ended', to_jsonb(v_ended),
        'due_ms', (extract(epoch from v_closed.o_due - postq.now()) * 1000)::bigint);
end;
$$;
revoke all on function postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[],
    bytea[], bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], text[], bigint[],
    jsonb[]) from public;
