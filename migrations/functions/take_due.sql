-- Takes up to p_limit tasks of these lanes whose time has come, the longest overdue first; those that
-- want a slot of a key are parked (see take_parked). Locks nothing but what it takes. Called by consume.
create or replace function postq.take_due(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int, out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- So many may be parked by one call.
    c_parked constant int := 1000;
    v_parked int := 0;
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_taken record;
begin
    o_job := '{}';
    o_n := '{}';
    loop
        with near as materialized (
            select s.run_at, s.job, s.n
            from unnest(p_lane, p_floor) as l (lane, floor)
            cross join lateral (
                select s.run_at, s.job, s.n from postq.scheduled s
                where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now
                -- Others may have the first ones at hand.
                order by s.run_at limit p_limit * 2 + 100
            ) s
        )
        select array_agg(s.run_at), array_agg(s.job), array_agg(s.n) into v_run_at, v_job, v_n
        from (select s.run_at, s.job, s.n
              from near x join postq.scheduled s on s.run_at = x.run_at and s.job = x.job and s.n = x.n
              order by x.run_at, x.job, x.n limit p_limit - cardinality(o_n) for update of s skip locked) s;
        select * into v_taken from postq.take_scheduled(v_run_at, v_job, v_n);
        o_job := o_job || v_taken.o_job;
        o_n := o_n || v_taken.o_n;
        v_parked := v_parked + v_taken.o_parked;
        -- Behind those that were parked others may be due.
        exit when v_taken.o_parked = 0 or v_parked >= c_parked or cardinality(o_n) >= p_limit;
    end loop;
end;
$$;
revoke all on function postq.take_due(bigint[], timestamptz[], timestamptz, int) from public;
