-- Decides what becomes of the tasks behind gates that have no open parent left: each is made ready
-- or skipped by its run_if. At most 5,000 tasks a call; the rest waits in opening for the upkeep.
-- Called by settle and release_opening, which hold the jobs' rows.
create or replace function postq.release_gates(
    p_job uuid[], p_g int[], p_from int[], p_prefer uuid[],
    out o_ready jsonb, out o_skipped_job uuid[], out o_skipped_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_page constant int := 5000;
    v_budget int := c_page;
    v_ready_job uuid[] := '{}';
    v_ready_n int[] := '{}';
    v_prefer uuid[] := '{}';
    v_gate record;
    v_last int;
begin
    o_skipped_job := '{}';
    o_skipped_n := '{}';
    for v_gate in
        select g.job, g.g, x.from_n, g.last_n, x.prefer, g.failed, g.unsuccessful
        from unnest(p_job, p_g, p_from, p_prefer) as x (job, g, from_n, prefer)
        join postq.gate g on g.job = x.job and g.g = x.g
        order by g.job, g.g
    loop
        v_last := least(v_gate.last_n, v_gate.from_n + v_budget - 1);
        v_budget := v_budget - greatest(v_last - v_gate.from_n + 1, 0);
        if v_last < v_gate.last_n then
            insert into postq.opening (job, g, from_n, prefer)
            values (v_gate.job, v_gate.g, v_last + 1, v_gate.prefer)
            on conflict (job, g) do update set from_n = excluded.from_n;
        end if;
        with decided as (
            select t.job, t.n, case s.run_if
                when 'succeeded' then v_gate.unsuccessful = 0
                when 'failed' then v_gate.failed > 0
                else true end as holds
            from postq.task t
            join postq.task_spec s on s.job = t.job and s.n = t.n
            where t.job = v_gate.job and t.n between v_gate.from_n and v_last
              and t.state = 'blocked'
            order by t.n
        )
        select v_ready_job || coalesce(array_agg(d.job order by d.n) filter (where d.holds), '{}'),
               v_ready_n || coalesce(array_agg(d.n order by d.n) filter (where d.holds), '{}'),
               v_prefer || coalesce(array_agg(v_gate.prefer) filter (where d.holds), '{}'),
               o_skipped_job || coalesce(array_agg(d.job order by d.n) filter (where not d.holds), '{}'),
               o_skipped_n || coalesce(array_agg(d.n order by d.n) filter (where not d.holds), '{}')
        into v_ready_job, v_ready_n, v_prefer, o_skipped_job, o_skipped_n
        from decided d;
    end loop;

    update postq.task t
    set state = 'skipped', finished_at = postq.now(), revision = postq.next_revision(t.job),
        reason = case
            when g.failed > 0 then 'a task it depends on failed'
            when g.unsuccessful > 0 then 'a task it depends on did not succeed'
            else 'no task it depends on failed' end
    from unnest(o_skipped_job, o_skipped_n) as x (job, n), postq.gate g
    where t.job = x.job and t.n = x.n and g.job = t.job and g.g = t.gate;
    o_ready := postq.make_ready(v_ready_job, v_ready_n, v_prefer);
end;
$$;
revoke all on function postq.release_gates(uuid[], int[], int[], uuid[]) from public;
