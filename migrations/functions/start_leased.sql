-- Makes the attempts of tasks that a consumer has taken and holds, and starts jobs of one task; any
-- other job learns through the inbox that it has started. Called by consume.
create or replace function postq.start_leased(
    p_job uuid[], p_n int[], p_lease interval, p_is_final boolean
) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_lease constant interval := '60 s';
    v_start timestamptz := postq.lease_start();
    v_notes int;
    v_begun uuid[];
begin
    with first as materialized (
        select j.id, s.task_count, x.n
        from unnest(p_job, p_n) as x (job, n)
        join postq.job j on j.id = x.job
        join postq.job_spec s on s.job = x.job
        where j.state in ('scheduled', 'queued')
    ), started as (
        update postq.job j set state = 'running', started_at = postq.now()
        from first f where j.id = f.id and f.task_count = 1
        returning j.id
    ), noted as (
        insert into postq.inbox (job, kind, n)
        select f.id, 'note', f.n from first f where f.task_count > 1
        returning 1
    )
    select (select count(*) from noted), (select array_agg(s.id) from started s) into v_notes, v_begun;
    if v_begun is not null then
        perform postq.limit_run(v_begun);
    end if;
    if v_notes > 0 then
        perform postq.hint('inbox');
    end if;

    with running as (
        update postq.task t
        set state = 'running', attempt = nextval('postq.attempt_id'), seq = null, run_at = null,
            started_at = coalesce(t.started_at, postq.now())
        from unnest(p_job, p_n) as x (job, n)
        where t.job = x.job and t.n = x.n and t.state in ('ready', 'scheduled', 'parked')
        returning t.job, t.n, t.attempt, t.lane
    )
    insert into postq.open_attempt (job, n, attempt, started_at, lane, lease_until, is_final)
    select r.job, r.n, r.attempt, postq.now(), r.lane,
           v_start + coalesce(p_lease, make_interval(secs => postq.duration_ms(s.spec ->> 'timeout') / 1000.0), c_lease),
           p_is_final or s.at_most_once
    from running r join postq.task_spec s on s.job = r.job and s.n = r.n;
end;
$$;
revoke all on function postq.start_leased(uuid[], int[], interval, boolean) from public;
