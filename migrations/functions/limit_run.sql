-- What follows from the first start of jobs, for whoever starts them: until when those must have ended
-- that have a timeout is noted, and those who asked for it are told.
create or replace function postq.limit_run(p_job uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_soon constant bigint := 3000;
    v_least bigint;
begin
    if not exists (select from postq.job_spec s where s.job = any (p_job) and (s.notify or s.timeout_ms is not null)) then
        return;
    end if;
    perform postq.tell('postq_picked', p_job);
    with limited as (
        insert into postq.deadline (at, job, kind)
        select j.started_at + make_interval(secs => s.timeout_ms / 1000.0), j.id, 'time_out'
        from postq.job j join postq.job_spec s on s.job = j.id
        where j.id = any (p_job) and s.timeout_ms is not null
        on conflict do nothing
        returning job
    )
    select min(s.timeout_ms) into v_least from limited l join postq.job_spec s on s.job = l.job;
    -- The others are found by the beat.
    if v_least < c_soon then
        perform postq.hint('deadline');
    end if;
end;
$$;
revoke all on function postq.limit_run(uuid[]) from public;
