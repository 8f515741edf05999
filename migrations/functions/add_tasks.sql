-- Stores the planned tasks of a job that has none yet; those without dependencies are ready at once,
-- or at p_run_at where that is still to come; 'infinity': once begin_job says so.
-- Called by admit and, for a single task, by submit and publish. Returns [[lane, seq]].
-- p_tasks: [{n, name, spec, gate, executor, handler, priority, run_if, max_attempts, crash_limit,
-- at_most_once, backoff_ms, max_backoff_ms, factor, increment_ms, jitter, delays_ms, outcomes,
-- exit_codes, concurrency {key, limit}, rate {key, limit, period_ms}, depends, parents,
-- has_workspace}] in the order of n; what it asks of its agent is read from its spec. What is left out
-- has the default written below (parents: as depends), because a large job is mostly defaults and reading them took longer than storing them.
-- Those that want a slot of a key are parked instead of ready. What a task does not state its queue may.
-- p_gates: [{g, first, last, parents}].
create or replace function postq.add_tasks(
    p_job uuid, p_queue text, p_priority int, p_tasks jsonb, p_gates jsonb, p_run_at timestamptz default null
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set work_mem = '64MB'
as $$
declare
    v_ready jsonb;
    v_parked int[];
    v_later timestamptz := case when p_run_at > postq.now() then p_run_at end;
begin
    -- Before the first nextval: the floor of a lane rests on it.
    perform pg_current_xact_id();
    p_tasks := postq.with_defaults(p_queue, p_tasks);
    with planned as materialized (
        select t.n, t.name, t.gate, coalesce(t.executor, 'shell') as executor, t.handler,
               coalesce(t.priority, p_priority) as priority,
               coalesce(t.run_if, 'succeeded') as run_if, coalesce(t.max_attempts, 1) as max_attempts,
               coalesce(t.crash_limit, 5) as crash_limit, coalesce(t.at_most_once, false) as at_most_once,
               coalesce(t.backoff_ms, 1000) as backoff_ms, coalesce(t.max_backoff_ms, 60000) as max_backoff_ms,
               coalesce(t.factor, 2) as factor, coalesce(t.increment_ms, 0) as increment_ms,
               coalesce(t.jitter, 0.5) as jitter, t.delays_ms, t.outcomes, t.exit_codes, t.concurrency, t.rate,
               coalesce(t.depends, '{}') as depends, coalesce(t.parents, t.depends, '{}') as parents,
               coalesce(t.has_workspace, true) as has_workspace, t.spec,
               coalesce(t.concurrency ->> 'key', t.rate ->> 'key') is not null as has_key,
               coalesce(t.spec -> 'resources', '{}') as resources, coalesce(t.spec -> 'requires', '[]') as requires
        from jsonb_to_recordset(p_tasks) as t (n int, name text, gate int, executor text,
            handler text, priority int, run_if text, max_attempts int, crash_limit int, at_most_once boolean,
            backoff_ms bigint, max_backoff_ms bigint, factor double precision, increment_ms bigint,
            jitter double precision, delays_ms bigint[], outcomes postq.outcome[], exit_codes int[],
            concurrency jsonb, rate jsonb, depends int[], parents int[], has_workspace boolean, spec jsonb)
    ), kind as materialized (
        select k.executor, k.handler, k.priority, k.resources, k.requires,
               postq.lane_of(p_queue, k.priority, k.executor::postq.executor, k.handler,
                   postq.needs_of(k.resources, k.requires)) as lane
        from (select distinct t.executor, t.handler, t.priority, t.resources, t.requires from planned t) k
    ), described as (
        insert into postq.task_spec (job, n, name, run_if, max_attempts, crash_limit, at_most_once, backoff_ms,
            max_backoff_ms, factor, increment_ms, jitter, delays_ms, retry_outcomes, retry_exit_codes,
            concurrency_key, concurrency_limit, rate_key, rate_limit, rate_period_ms, depends, parents,
            has_workspace, spec)
        select p_job, t.n, t.name, t.run_if::postq.run_if, t.max_attempts, t.crash_limit, t.at_most_once,
            t.backoff_ms, t.max_backoff_ms, t.factor, t.increment_ms, t.jitter, t.delays_ms, t.outcomes,
            t.exit_codes, t.concurrency ->> 'key', (t.concurrency ->> 'limit')::int, t.rate ->> 'key',
            (t.rate ->> 'limit')::int, (t.rate ->> 'period_ms')::bigint, t.depends, t.parents,
            t.has_workspace, t.spec
        from planned t
    ), entered as (
        insert into postq.task (job, n, state, gate, lane, seq, run_at, revision, has_key)
        select p_job, t.n,
               case when t.gate is not null or v_later = 'infinity' then 'blocked'
                    when v_later is not null then 'scheduled'
                    -- Until it is parked, below.
                    when t.has_key then 'blocked'
                    else 'ready' end::postq.task_state,
               t.gate, k.lane,
               case when t.gate is null and v_later is null and not t.has_key then nextval('postq.ready_seq') end,
               case when t.gate is null and v_later < 'infinity' then v_later end, 1, t.has_key
        from planned t
        join kind k on k.executor = t.executor and k.handler is not distinct from t.handler
                   and k.priority = t.priority and k.resources = t.resources and k.requires = t.requires
        order by t.n
        returning n, lane, seq, run_at, gate, has_key
    ), waiting as (
        insert into postq.ready (lane, seq, job, n, since)
        select e.lane, e.seq, p_job, e.n, postq.now() from entered e where e.seq is not null
    ), later as (
        insert into postq.scheduled (run_at, job, n, lane)
        select e.run_at, p_job, e.n, e.lane from entered e where e.run_at is not null
    )
    select (select coalesce(jsonb_agg(jsonb_build_array(l.lane, l.seq)), '[]')
            from (select e.lane, min(e.seq) as seq from entered e where e.seq is not null group by e.lane) l),
           (select array_agg(e.n order by e.n) from entered e
            where e.has_key and e.gate is null and v_later is null)
    into v_ready, v_parked;
    if v_parked is not null then
        perform postq.park(array_fill(p_job, array[cardinality(v_parked)]), v_parked,
                           array_fill(null::uuid, array[cardinality(v_parked)]));
        perform postq.hint('parked');
    end if;

    insert into postq.gate (job, g, first_n, last_n, open)
    select p_job, g.g, g.first, g.last, cardinality(g.parents)
    from jsonb_to_recordset(p_gates) as g (g int, first int, last int, parents int[]);
    insert into postq.gate_parent (job, parent, g)
    select p_job, p.parent, g.g
    from jsonb_to_recordset(p_gates) as g (g int, parents int[]), unnest(g.parents) as p (parent);

    perform postq.hint_ready(v_ready, jsonb_array_length(p_tasks));
    if v_later is null then
        perform postq.tell('postq_queued', array[p_job]);
    elsif v_later < 'infinity' then
        perform postq.hint('due');
    end if;
    return v_ready;
end;
$$;
revoke all on function postq.add_tasks(uuid, text, int, jsonb, jsonb, timestamptz) from public;
