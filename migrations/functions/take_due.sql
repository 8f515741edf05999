-- Takes up to p_limit tasks of these lanes whose time has come, the longest overdue first. Those that wait for
-- a slot of a key are parked (see take_scheduled), and others are due behind them; once p_park are, it ends.
-- Locks nothing but what it takes or parks. Called by take_level.
create or replace function postq.take_due(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int, p_park int,
    out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_row tid[];
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_taken record;
begin
    o_job := '{}';
    o_n := '{}';
    o_parked := 0;
    loop
        select array_agg(d.ctid), array_agg(d.run_at), array_agg(d.job), array_agg(d.n) into v_row, v_run_at, v_job, v_n
        from (select s.ctid, s.run_at, s.job, s.n from postq.scheduled s
              where s.ctid = any (array(
                  select s.ctid
                  from unnest(p_lane, p_floor) as l (lane, floor)
                  cross join lateral (
                      select s.ctid from postq.scheduled s
                      where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now
                      -- Others may have the first ones at hand.
                      order by s.run_at limit p_limit * 2 + 100) s))
              order by s.run_at, s.job, s.n limit p_limit - cardinality(o_n) for update skip locked) d;
        select * into v_taken from postq.take_scheduled(v_row, v_run_at, v_job, v_n);
        o_job := o_job || v_taken.o_job;
        o_n := o_n || v_taken.o_n;
        o_parked := o_parked + v_taken.o_parked;
        exit when v_taken.o_parked = 0 or o_parked >= p_park or cardinality(o_n) >= p_limit;
    end loop;
end;
$$;
revoke all on function postq.take_due(bigint[], timestamptz[], timestamptz, int, int) from public;
