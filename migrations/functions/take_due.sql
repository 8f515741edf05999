-- Takes up to p_limit tasks of these lanes whose time has come, the longest overdue first; those that
-- want a slot of a key are parked (see take_parked). Locks nothing but what it takes. Called by consume.
create or replace function postq.take_due(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int, out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_held record;
    v_keyed int[];
begin
    o_job := '{}';
    o_n := '{}';
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
          order by x.run_at, x.job, x.n limit p_limit for update of s skip locked) s;
    if v_job is not null then
        select * into v_held from postq.hold_tasks(v_job, v_n, '{}', v_run_at);
        delete from postq.scheduled s using unnest(v_run_at, v_job, v_n) with ordinality as x (run_at, job, n, ord)
        where s.run_at = x.run_at and s.job = x.job and s.n = x.n and x.ord = any (v_held.o_ord || v_held.o_gone);
        v_keyed := array(select i from unnest(v_held.o_ord) as i
                         join postq.task t on t.job = v_job[i] and t.n = v_n[i] where t.has_key);
        if v_keyed <> '{}' then
            perform postq.park(array(select v_job[i] from unnest(v_keyed) as i), array(select v_n[i] from unnest(v_keyed) as i),
                               array_fill(null::uuid, array[cardinality(v_keyed)]));
            insert into postq.inbox (job, kind, n)
            select v_job[i], 'note', v_n[i] from unnest(v_keyed) as i
            join postq.job_spec s on s.job = v_job[i] where s.task_count > 1;
        end if;
        o_job := array(select v_job[i] from unnest(v_held.o_ord) as i where i <> all (v_keyed));
        o_n := array(select v_n[i] from unnest(v_held.o_ord) as i where i <> all (v_keyed));
    end if;
end;
$$;
revoke all on function postq.take_due(bigint[], timestamptz[], timestamptz, int) from public;
