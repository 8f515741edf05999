-- Makes the attempts of tasks that a consumer has taken and holds, and starts jobs of one task; any
-- other job learns through the inbox that it has started. Returns what consume gives, in the order of
-- p_job. Called by consume.
create or replace function postq.start_leased(
    p_job uuid[], p_n int[], p_lease interval, p_is_final boolean
) returns table (
    id uuid, attempt bigint, task text, arguments jsonb, attributes jsonb, priority int,
    attempts int, max_attempts int, created_at timestamptz, lease_until timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    c_lease constant interval := '60 s';
    v_start timestamptz := postq.lease_start();
    v_notes int;
    v_limited uuid[];
    v_priority int[];
    v_created timestamptz[];
begin
    with given as materialized (
        select x.ord, x.n, j.id, j.priority, j.created_at, s.task_count,
               s.notify or s.timeout_ms is not null as is_limited, j.state in ('scheduled', 'queued') as is_first
        from unnest(p_job, p_n) with ordinality as x (job, n, ord)
        join postq.job j on j.id = x.job
        join postq.job_spec s on s.job = x.job
    ), started as (
        update postq.job j set state = 'running', started_at = postq.now()
        from given g where j.id = g.id and g.is_first and g.task_count = 1
        returning j.id, g.is_limited
    ), noted as (
        insert into postq.inbox (job, kind, n)
        select g.id, 'note', g.n from given g where g.is_first and g.task_count > 1
        returning 1
    )
    select array_agg(g.priority order by g.ord), array_agg(g.created_at order by g.ord),
           (select count(*) from noted), (select array_agg(s.id) from started s where s.is_limited)
    into v_priority, v_created, v_notes, v_limited from given g;
    if v_limited is not null then
        perform postq.limit_run(v_limited);
    end if;
    if v_notes > 0 then
        perform postq.hint('inbox');
    end if;

    return query
        with running as (
            update postq.task t
            set state = 'running', attempt = nextval('postq.attempt_id'), seq = null, run_at = null,
                started_at = coalesce(t.started_at, postq.now())
            from unnest(p_job, p_n, v_priority, v_created) with ordinality
                as x (job, n, priority, created_at, ord)
            where t.job = x.job and t.n = x.n and t.state in ('ready', 'scheduled', 'parked')
            returning t.job, t.n, t.attempt, t.attempts, t.lane, x.priority, x.created_at, x.ord
        ), leased as materialized (
            select r.*, coalesce(s.spec ->> 'handler', s.name) as task, s.spec -> 'arguments' as arguments,
                   s.max_attempts, p_is_final or s.at_most_once as is_final, v_start + coalesce(
                       p_lease, make_interval(secs => postq.duration_ms(s.spec ->> 'timeout') / 1000.0), c_lease) as lease_until
            from running r join postq.task_spec s on s.job = r.job and s.n = r.n
        ), opened as (
            insert into postq.open_attempt (job, n, attempt, started_at, lane, lease_until, is_final)
            select l.job, l.n, l.attempt, postq.now(), l.lane, l.lease_until, l.is_final from leased l
        )
        select l.job, l.attempt, l.task, l.arguments,
               -- Never in an array: they may be a megabyte each.
               (select s.attributes from postq.job_spec s where s.job = l.job),
               l.priority, l.attempts + 1, l.max_attempts, l.created_at, l.lease_until
        from leased l order by l.ord;
end;
$$;
revoke all on function postq.start_leased(uuid[], int[], interval, boolean) from public;
