-- Stores many new jobs of one task each, which nothing but their lanes holds against others: no unique
-- key, no jobs to wait for, no deadline, no input, no shared key or rate, no declared queue, and an id
-- that is not there (else unique_violation). A statement for all of them instead of some for each.
-- p_jobs: as create_job takes them; p_tasks: the task of each, as add_tasks takes it. Called by
-- admit_many. Returns [[lane, seq]].
create or replace function postq.add_singles(p_jobs jsonb, p_tasks jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set work_mem = '64MB'
as $$
declare
    v_now timestamptz := postq.now();
    v_ready jsonb;
    v_ready_job uuid[];
    v_is_later boolean;
begin
    -- Before the first nextval: the floor of a lane rests on it.
    perform pg_current_xact_id();
    with given as materialized (
        select r.*, coalesce(r.spec -> 'resources', '{}') as resources, coalesce(r.spec -> 'requires', '[]') as requires,
               case when r.run_at is not null then nullif(greatest(r.run_at, v_now), v_now)
                         when r.delay_ms > 0 then v_now + make_interval(secs => r.delay_ms / 1000.0) end as later
        from rows from (
            jsonb_to_recordset(p_jobs) as (id uuid, queue text, priority int, name text, spec jsonb, attributes jsonb,
                digest text, traceparent text, run_at timestamptz, delay_ms double precision, timeout_ms bigint,
                notify boolean, retry_of uuid),
            jsonb_to_recordset(p_tasks) as (name text, executor text, handler text, priority int, run_if text,
                max_attempts int, crash_limit int, at_most_once boolean, backoff_ms bigint, max_backoff_ms bigint,
                factor double precision, increment_ms bigint, jitter double precision, delays_ms bigint[],
                outcomes postq.outcome[], exit_codes int[], has_workspace boolean, spec jsonb)
        ) with ordinality as r (id, queue, priority, job_name, job_spec, attributes, digest, traceparent, run_at,
            delay_ms, timeout_ms, notify, retry_of, name, executor, handler, task_priority, run_if, max_attempts,
            crash_limit, at_most_once, backoff_ms, max_backoff_ms, factor, increment_ms, jitter, delays_ms, outcomes,
            exit_codes, has_workspace, spec, ord)
    ), kind as materialized (
        select k.*, postq.lane_of(k.queue, k.priority, k.executor::postq.executor, k.handler,
                   postq.needs_of(k.resources, k.requires)) as lane
        from (select distinct g.queue, coalesce(g.task_priority, g.priority) as priority,
                     coalesce(g.executor, 'shell') as executor, g.handler, g.resources, g.requires from given g) k
    ), placed as materialized (
        -- Numbered in the order given.
        select x.*, case when x.later is null then nextval('postq.ready_seq') end as seq
        from (select g.ord, g.id, k.lane, g.later, g.notify
              from given g
              join kind k on k.queue = g.queue and k.priority = coalesce(g.task_priority, g.priority)
                         and k.executor = coalesce(g.executor, 'shell') and k.handler is not distinct from g.handler
                         and k.resources = g.resources and k.requires = g.requires
              order by g.ord offset 0) x
    ), made as (
        insert into postq.job (id, queue, priority, state, created_at)
        select g.id, g.queue, g.priority, case when g.later is null then 'queued' else 'scheduled' end::postq.state_of_job,
               v_now
        from given g
    ), told as (
        insert into postq.job_spec (job, name, task_count, spec, attributes, digest, traceparent, retry_of,
            timeout_ms, notify)
        select g.id, g.job_name, 1, g.job_spec, coalesce(g.attributes, '{}'), decode(g.digest, 'hex'), g.traceparent,
               g.retry_of, g.timeout_ms, coalesce(g.notify, false)
        from given g
    ), counted as (
        insert into postq.job_progress (job, revision, open, failed, cancelled) select g.id, 1, 1, 0, 0 from given g
    ), described as (
        insert into postq.task_spec (job, n, name, run_if, max_attempts, crash_limit, at_most_once, backoff_ms,
            max_backoff_ms, factor, increment_ms, jitter, delays_ms, retry_outcomes, retry_exit_codes, depends,
            parents, has_workspace, spec)
        select g.id, 0, g.name, coalesce(g.run_if, 'succeeded')::postq.run_if, coalesce(g.max_attempts, 1),
            coalesce(g.crash_limit, 5), coalesce(g.at_most_once, false), coalesce(g.backoff_ms, 1000),
            coalesce(g.max_backoff_ms, 60000), coalesce(g.factor, 2), coalesce(g.increment_ms, 0),
            coalesce(g.jitter, 0.5), g.delays_ms, g.outcomes, g.exit_codes, '{}', '{}',
            coalesce(g.has_workspace, true), g.spec
        from given g
    ), entered as (
        insert into postq.task (job, n, state, lane, seq, run_at, revision)
        select p.id, 0, case when p.later is null then 'ready' else 'scheduled' end::postq.task_state,
               p.lane, p.seq, p.later, 1
        from placed p
    ), waiting as (
        insert into postq.ready (lane, seq, job, n, since)
        select p.lane, p.seq, p.id, 0, v_now from placed p where p.seq is not null order by p.seq
    ), later as (
        insert into postq.scheduled (run_at, job, n, lane)
        select p.later, p.id, 0, p.lane from placed p where p.later is not null
    )
    select coalesce((select jsonb_agg(jsonb_build_array(l.lane, l.seq))
                     from (select p.lane, min(p.seq) as seq from placed p where p.seq is not null group by p.lane) l), '[]'),
           array_agg(p.id) filter (where p.notify and p.seq is not null), bool_or(p.later is not null)
    into v_ready, v_ready_job, v_is_later
    from placed p;
    perform postq.hint_ready(v_ready, jsonb_array_length(p_jobs));
    perform postq.tell('postq_queued', v_ready_job);
    if v_is_later then
        perform postq.hint('due');
    end if;
    return v_ready;
end;
$$;
revoke all on function postq.add_singles(jsonb, jsonb) from public;
