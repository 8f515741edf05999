-- Ends attempts whose lease is over (see leases_over), at most p_limit, so that their tasks are
-- due, or dead letters. What somebody has at hand is left alone: an open transaction that acks, say.
-- Called by consume, in its caller's transaction.
create or replace function postq.expire_now(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int,
    p_filter jsonpath default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_one record;
    v_left int := p_limit;
begin
    for v_one in
        select x.job, x.n, x.attempt, x.retry_at, s.task_count = 1 as is_single
        from postq.leases_over(p_lane, p_floor, p_now, p_limit * 2 + 100, p_filter) x
        join postq.job_spec s on s.job = x.job
        order by x.retry_at
    loop
        exit when v_left = 0;
        perform 1 from postq.open_attempt o
        where o.job = v_one.job and o.n = v_one.n and o.attempt = v_one.attempt and o.lease_until <= p_now
        for update skip locked;
        continue when not found;
        if v_one.is_single then
            perform 1 from postq.job j where j.id = v_one.job for update skip locked;
            continue when not found;
        end if;
        perform postq.conclude(v_one.job, v_one.attempt, 'timed_out', postq.lease_over(), p_retry_at => v_one.retry_at);
        v_left := v_left - 1;
    end loop;
end;
$$;
revoke all on function postq.expire_now(bigint[], timestamptz[], timestamptz, int, jsonpath) from public;
