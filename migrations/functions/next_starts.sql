-- Tells those who sleep of queues with a rate whose next task may be started now. Returns when, of the others
-- that have something to start, the first one may; null where there is none. Called by grant_parked.
create or replace function postq.next_starts() returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_queue record;
    v_soonest timestamptz;
begin
    for v_queue in
        select q.name, s.free_at
        from postq.queue q
        cross join lateral (
            select min(s.used_at + make_interval(secs => q.rate_period_ms / 1000.0)) as free_at, count(*) as known,
                   count(*) filter (where s.used_at is null) as unused
            from postq.slot s where s.pool = 'starts:' || q.name and s.n <= q.rate_limit
        ) x
        cross join lateral (
            select case when x.known >= q.rate_limit and x.unused = 0 then x.free_at else '-infinity' end as free_at
        ) s
        where q.rate_limit is not null and not q.is_paused
          and exists (select from postq.lane l join postq.ready r on r.lane = l.id and r.seq > l.floor
                      where l.queue = q.name)
    loop
        if v_queue.free_at <= postq.now() then
            perform postq.hint_queue(v_queue.name);
        else
            v_soonest := least(v_soonest, v_queue.free_at);
        end if;
    end loop;
    return v_soonest;
end;
$$;
revoke all on function postq.next_starts() from public;
