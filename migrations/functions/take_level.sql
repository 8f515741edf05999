-- Takes up to p_limit tasks from lanes of one priority, in the order in which they became available:
-- ready ones, due ones, and those whose lease is over. It parks as take_due does. Called by consume.
create or replace function postq.take_level(
    p_lane bigint[], p_floor bigint[], p_due_floor timestamptz[], p_lease_floor timestamptz[],
    p_now timestamptz, p_limit int, p_park int, out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_over int := 0;
    v_due int := 0;
    v_has_old boolean;
    v_more record;
begin
    o_job := '{}';
    o_n := '{}';
    o_parked := 0;
    v_has_old := exists (
        select from unnest(p_lane, p_due_floor, p_lease_floor) as l (lane, due_floor, lease_floor)
        where exists (select from postq.scheduled s
                      where s.lane = l.lane and s.run_at > l.due_floor and s.run_at <= p_now)
           or exists (select from postq.open_attempt o
                      where o.lane = l.lane and o.lease_until > l.lease_floor and o.lease_until <= p_now));
    if v_has_old then
        -- So many of the first p_limit are not in ready.
        select count(*) filter (where x.kind = 'over'), count(*) filter (where x.kind <> 'ready')
        into v_over, v_due
        from (
            select 'over' as kind, o.retry_at as since
            from postq.leases_over(p_lane, p_lease_floor, p_now, p_limit) o
            union all
            select 'due', s.run_at from unnest(p_lane, p_due_floor) as l (lane, floor)
            cross join lateral (
                select s.run_at from postq.scheduled s
                where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now
                order by s.run_at limit p_limit
            ) s
            union all
            select 'ready', r.since from unnest(p_lane, p_floor) as l (lane, floor)
            cross join lateral (
                select r.since from postq.ready r where r.lane = l.lane and r.seq > l.floor
                order by r.seq limit p_limit
            ) r
            order by since limit p_limit
        ) x;
    end if;
    if v_due > 0 then
        perform postq.expire_now(p_lane, p_lease_floor, p_now, v_over) where v_over > 0;
        v_more := postq.take_due(p_lane, p_due_floor, p_now, v_due, p_park);
        o_job := v_more.o_job;
        o_n := v_more.o_n;
        o_parked := v_more.o_parked;
    end if;
    if cardinality(o_n) < p_limit then
        v_more := postq.take_ready(p_lane, p_floor, p_limit - cardinality(o_n));
        o_job := o_job || v_more.o_job;
        o_n := o_n || v_more.o_n;
    end if;
    if v_has_old and cardinality(o_n) < p_limit then
        -- What was counted as ready is in other hands.
        perform postq.expire_now(p_lane, p_lease_floor, p_now, p_limit - cardinality(o_n));
        v_more := postq.take_due(p_lane, p_due_floor, p_now, p_limit - cardinality(o_n), p_park - o_parked);
        o_job := o_job || v_more.o_job;
        o_n := o_n || v_more.o_n;
        o_parked := o_parked + v_more.o_parked;
    end if;
end;
$$;
revoke all on function postq.take_level(
    bigint[], bigint[], timestamptz[], timestamptz[], timestamptz, int, int) from public;
