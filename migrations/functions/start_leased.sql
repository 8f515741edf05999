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
    v_after record;
begin
    return query
        with given as materialized (
            select x.ord, x.n, j.id, j.ctid as row, j.priority, j.created_at, s.task_count, s.attributes,
                   j.state in ('scheduled', 'queued') as is_first
            from unnest(p_job, p_n) with ordinality as x (job, n, ord)
            join postq.job j on j.id = x.job
            join postq.job_spec s on s.job = x.job
        ), started as (
            update postq.job j set state = 'running', started_at = postq.now()
            -- These are locked, so that they are where they were seen.
            from given g where j.ctid = g.row and g.is_first and g.task_count = 1
        ), noted as (
            insert into postq.inbox (job, kind, n)
            select g.id, 'note', g.n from given g where g.is_first and g.task_count > 1
        ), running as (
            update postq.task t
            set state = 'running', attempt = nextval('postq.attempt_id'), seq = null, run_at = null,
                started_at = coalesce(t.started_at, postq.now())
            from given g
            where t.job = g.id and t.n = g.n and t.state in ('ready', 'scheduled', 'parked')
            returning t.job, t.n, t.attempt, t.attempts, t.lane, g.priority, g.created_at, g.attributes, g.ord
        ), leased as materialized (
            select r.*, coalesce(s.spec ->> 'handler', s.name) as task, s.spec -> 'arguments' as arguments,
                   s.max_attempts, p_is_final or s.at_most_once as is_final, v_start + coalesce(
                       p_lease, make_interval(secs => postq.duration_ms(s.spec ->> 'timeout') / 1000.0), c_lease) as lease_until
            from running r join postq.task_spec s on s.job = r.job and s.n = r.n
        ), opened as (
            insert into postq.open_attempt (job, n, attempt, started_at, lane, lease_until, is_final)
            select l.job, l.n, l.attempt, postq.now(), l.lane, l.lease_until, l.is_final from leased l
        )
        select l.job, l.attempt, l.task, l.arguments, l.attributes, l.priority, l.attempts + 1, l.max_attempts,
               l.created_at, l.lease_until
        from leased l order by l.ord;

    -- Most want none of this. (What one statement of a client's takes, gives back and takes again is told of twice.)
    select array_agg(j.id) filter (where s.task_count = 1 and j.started_at = postq.now()) as limited,
           bool_or(s.task_count > 1 and j.state in ('scheduled', 'queued')) as is_noted
    into v_after
    from postq.job_spec s join postq.job j on j.id = s.job
    where s.job = any (p_job) and (s.task_count > 1 or s.notify or s.timeout_ms is not null);
    if v_after.limited is not null then
        perform postq.limit_run(v_after.limited);
    end if;
    if v_after.is_noted then
        perform postq.hint('inbox');
    end if;
end;
$$;
revoke all on function postq.start_leased(uuid[], int[], interval, boolean) from public;
