-- Ends attempts whose lease is over (see leases_over), at most p_limit, so that their tasks are
-- due, or dead letters. What somebody has at hand is left alone: an open transaction that acks, say.
-- Called by consume, in its caller's transaction.
create or replace function postq.expire_now(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int,
    p_filter jsonpath default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_over record;
begin
    select array_agg(x.job) as job, array_agg(x.attempt) as attempt, array_agg(x.retry_at) as retry_at into v_over
    from (
        select x.job, x.attempt, x.retry_at
        from postq.leases_over(p_lane, p_floor, p_now, p_limit * 2 + 100, p_filter) x
        join postq.job_spec s on s.job = x.job
        cross join lateral (
            select from postq.open_attempt o
            where o.job = x.job and o.n = x.n and o.attempt = x.attempt and o.lease_until <= p_now
            for update skip locked) o
        left join lateral (
            select j.id from postq.job j where j.id = x.job and s.task_count = 1 for update skip locked) j on true
        where s.task_count > 1 or j.id is not null
        -- In the order in which they come: a sort would have all of them locked first.
        limit p_limit) x;
    if v_over.job is not null then
        perform postq.conclude_all(v_over.job, v_over.attempt, 'timed_out', postq.lease_over(), p_retry_at => v_over.retry_at);
    end if;
end;
$$;
revoke all on function postq.expire_now(bigint[], timestamptz[], timestamptz, int, jsonpath) from public;
