-- Attempts in these lanes whose lease is over and whose task could be tried again by now (retry_at, the
-- end of the lease and the backoff) or has no attempt left; the oldest p_limit of each lane. With a
-- filter only those of jobs whose attributes it holds for, among these.
create or replace function postq.leases_over(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int,
    p_filter jsonpath default null
) returns table (job uuid, n int, attempt bigint, retry_at timestamptz)
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select o.job, o.n, o.attempt, r.retry_at
    from unnest(p_lane, p_floor) as l (lane, floor)
    cross join lateral (
        select o.job, o.n, o.attempt, o.lease_until, o.is_final or o.cancel_requested_at is not null as is_final
        from postq.open_attempt o
        where o.lane = l.lane and o.lease_until > l.floor and o.lease_until <= p_now
        order by o.lease_until limit p_limit
    ) o
    join postq.task t on t.job = o.job and t.n = o.n
    join postq.task_spec s on s.job = o.job and s.n = o.n
    cross join lateral (
        select case when o.is_final or t.attempts + 1 = s.max_attempts or not postq.is_retried(s, 'timed_out', null)
                then o.lease_until
            else o.lease_until + make_interval(secs => postq.pause_ms(s, t.attempts + 1,
                -- Any number from 0 to 1, but the same one at every look.
                (hashint8(o.attempt) & 65535) / 65536.0) / 1000.0) end as retry_at
    ) r
    where r.retry_at <= p_now
      and (p_filter is null or exists (select from postq.job_spec j where j.job = o.job and j.attributes @@ p_filter))
    order by r.retry_at;
$$;
revoke all on function postq.leases_over(bigint[], timestamptz[], timestamptz, int, jsonpath) from public;
