-- Takes up to p_limit parked tasks of these lanes whose slots are free, one key after the other, so that
-- a long line at one is in nobody's way; at most c_pools keys of each lane. Locks nothing but what it
-- takes. With a filter only tasks of jobs whose attributes it holds for, among the first c_window of each
-- key. Called by consume, so that no coordinator is needed for tasks with keys.
create or replace function postq.take_parked(p_lane bigint[], p_limit int, p_filter jsonpath default null, out o_job uuid[], out o_n int[])
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    c_pools constant int := 200;
    c_window constant int := 1000;
    v_pool record;
    v_line refcursor;
    v_one record;
    v_held record;
begin
    o_job := '{}';
    o_n := '{}';
    for v_pool in
        select l.lane, p.pool
        from unnest(p_lane) as l (lane)
        cross join lateral (
            with recursive pools as (
                (select k.pool, 1 as nth from postq.parked k where k.lane = l.lane order by k.pool limit 1)
                union all
                select (select k.pool from postq.parked k where k.lane = l.lane and k.pool > p.pool order by k.pool limit 1),
                       p.nth + 1
                from pools p where p.pool is not null and p.nth < c_pools
            )
            select p.pool from pools p where p.pool is not null
        ) p
        order by random()
    loop
        if p_filter is null then
            open v_line for
                select k.pool, k.rank, k.seq, k.job, k.n from postq.parked k
                where k.lane = v_pool.lane and k.pool = v_pool.pool
                order by k.rank, k.seq limit p_limit - cardinality(o_n) for update skip locked;
        else
            open v_line for
                select k.pool, k.rank, k.seq, k.job, k.n from postq.parked k
                where k.ctid = any (array(
                    select x.ctid
                    from (select k.ctid, k.job from postq.parked k
                          where k.lane = v_pool.lane and k.pool = v_pool.pool
                          order by k.rank, k.seq limit c_window) x
                    where (select js.attributes @@ p_filter from postq.job_spec js where js.job = x.job)))
                order by k.rank, k.seq limit p_limit - cardinality(o_n) for update skip locked;
        end if;
        loop
            fetch v_line into v_one;
            exit when not found;
            select * into v_held from postq.hold_tasks(array[v_one.job], array[v_one.n], '{}', '{}');
            if v_held.o_gone <> '{}' then
                delete from postq.parked k where k.pool = v_one.pool and k.rank = v_one.rank and k.seq = v_one.seq;
            end if;
            continue when v_held.o_ord = '{}';
            exit when not (select x.o_is_ready from postq.take_keys(v_one.job, v_one.n, true) x);
            delete from postq.parked k where k.pool = v_one.pool and k.rank = v_one.rank and k.seq = v_one.seq;
            o_job := o_job || v_one.job;
            o_n := o_n || v_one.n;
        end loop;
        close v_line;
        exit when cardinality(o_n) >= p_limit;
    end loop;
end;
$$;
revoke all on function postq.take_parked(bigint[], int, jsonpath) from public;
