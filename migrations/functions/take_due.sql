-- Takes up to p_limit tasks of these lanes whose time has come, the longest overdue first; with a filter only
-- those of jobs whose attributes it holds for, among the first c_window of each lane. Those that wait for a
-- slot of a key are parked (see take_scheduled), for others are due behind them; once p_park are, it ends.
-- Locks nothing but what it takes or parks. Called by take_level and take_matching.
create or replace function postq.take_due(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int, p_park int, p_filter jsonpath default null,
    out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_rounds constant int := 100;
    c_window constant int := 1000;
    -- Others may have the first ones at hand.
    v_window constant int := case when p_filter is null then p_limit * 2 + 100 else c_window end;
    v_row tid[];
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_taken record;
begin
    o_job := '{}';
    o_n := '{}';
    o_parked := 0;
    for v_round in 1 .. c_rounds loop
        select array_agg(d.ctid), array_agg(d.run_at), array_agg(d.job), array_agg(d.n) into v_row, v_run_at, v_job, v_n
        from (select s.ctid, s.run_at, s.job, s.n from postq.scheduled s
              where s.ctid = any (array(
                  select x.ctid
                  from unnest(p_lane, p_floor) as l (lane, floor)
                  cross join lateral (
                      select s.ctid, s.job from postq.scheduled s
                      where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now
                      order by s.run_at limit v_window) x
                  where p_filter is null
                     or (select js.attributes @@ p_filter from postq.job_spec js where js.job = x.job)))
              order by s.run_at, s.job, s.n limit p_limit - cardinality(o_n) for update skip locked) d;
        select * into v_taken from postq.take_scheduled(v_row, v_run_at, v_job, v_n);
        o_job := o_job || v_taken.o_job;
        o_n := o_n || v_taken.o_n;
        o_parked := o_parked + v_taken.o_parked;
        exit when v_taken.o_parked = 0 or o_parked >= p_park or cardinality(o_n) >= p_limit;
        o_parked := o_parked + postq.join_lines(p_lane, p_floor, p_now, least(p_park - o_parked, c_window), p_filter);
        -- Of very many keys each with its own line, so many looks are enough.
        o_parked := case when v_round < c_rounds then o_parked else greatest(o_parked, p_park) end;
    end loop;
end;
$$;
revoke all on function postq.take_due(bigint[], timestamptz[], timestamptz, int, int, jsonpath) from public;
