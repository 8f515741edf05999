-- What follows from tasks that have just ended: gates are lowered, tasks behind open gates become
-- ready or skipped, and what was skipped has ended in turn. Called by finish and release_opening,
-- which hold the jobs' rows and have written the tasks' states.
-- Returns what became ready, and every task that ended, the given ones first.
create or replace function postq.settle(
    p_job uuid[], p_n int[], p_agent uuid[],
    out o_ready jsonb, out o_ended_job uuid[], out o_ended_n int[]
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
    -- A long chain of skipped tasks is one round per task: beyond this the upkeep goes on.
    c_rounds constant int := 200;
    v_round int := 0;
    v_job uuid[] := p_job;
    v_n int[] := p_n;
    v_agent uuid[] := p_agent;
    v_gate_job uuid[];
    v_gate int[];
    v_from int[];
    v_prefer uuid[];
    v_released record;
begin
    o_ready := '[]';
    o_ended_job := '{}';
    o_ended_n := '{}';
    while cardinality(v_job) > 0 loop
        o_ended_job := o_ended_job || v_job;
        o_ended_n := o_ended_n || v_n;
        -- Jobs of tasks that nothing depends on: then this is all.
        exit when not exists (
            select from unnest(v_job) as x (job)
            cross join lateral (select from postq.gate_parent p where p.job = x.job limit 1) p);
        with ended as (
            select t.job, t.n, x.agent, t.state,
                   t.state = 'failed' or t.state = 'skipped' and own.failed > 0 as is_failure
            from unnest(v_job, v_n, v_agent) as x (job, n, agent)
            join postq.task t on t.job = x.job and t.n = x.n
            left join postq.gate own on own.job = t.job and own.g = t.gate
        ), counted as (
            select p.job, p.g, count(*)::int as ended,
                   count(*) filter (where e.is_failure)::int as failed,
                   count(*) filter (where e.state <> 'succeeded')::int as unsuccessful,
                   (array_agg(e.agent) filter (where e.agent is not null))[1] as prefer
            from ended e
            join postq.gate_parent p on p.job = e.job and p.parent = e.n
            group by p.job, p.g
        ), lowered as (
            update postq.gate g
            set open = g.open - c.ended, failed = g.failed + c.failed,
                unsuccessful = g.unsuccessful + c.unsuccessful
            from counted c
            where g.job = c.job and g.g = c.g
            returning g.job, g.g, g.first_n, g.open, c.prefer
        )
        select array_agg(l.job), array_agg(l.g), array_agg(l.first_n), array_agg(l.prefer)
        into v_gate_job, v_gate, v_from, v_prefer
        from lowered l where l.open = 0;
        exit when v_gate_job is null;

        v_round := v_round + 1;
        if v_round > c_rounds then
            insert into postq.opening (job, g, from_n, prefer)
            select * from unnest(v_gate_job, v_gate, v_from, v_prefer)
            on conflict (job, g) do nothing;
            exit;
        end if;
        select * into v_released from postq.release_gates(v_gate_job, v_gate, v_from, v_prefer);
        o_ready := o_ready || v_released.o_ready;
        v_job := v_released.o_skipped_job;
        v_n := v_released.o_skipped_n;
        v_agent := array_fill(null::uuid, array[cardinality(v_job)]);
    end loop;
end;
$$;
revoke all on function postq.settle(uuid[], int[], uuid[]) from public;
