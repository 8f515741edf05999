-- For how many minutes the first task of some lanes that could be taken now has waited; 0 where there
-- is none.
create or replace function postq.lanes_wait(
    p_lane bigint[], p_floor bigint[], p_due_floor timestamptz[], p_now timestamptz
) returns double precision
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
    select coalesce(greatest(extract(epoch from p_now - min(x.since)) / 60, 0), 0)::double precision
    from unnest(p_lane, p_floor, p_due_floor) as l (lane, floor, due_floor)
    cross join lateral (
        (select r.since from postq.ready r where r.lane = l.lane and r.seq > l.floor order by r.seq limit 1)
        union all
        (select s.run_at from postq.scheduled s
         where s.lane = l.lane and s.run_at > l.due_floor and s.run_at <= p_now order by s.run_at limit 1)
    ) x;
$$;
revoke all on function postq.lanes_wait(bigint[], bigint[], timestamptz[], timestamptz) from public;
