-- Looks at the jobs that a job waits for: counts those that have ended and, with the last, lets its
-- first tasks begin or skips them all. Called by apply_request, after the commit of what ended or
-- admitted them. A parent that somebody has at hand may just be ending without knowing of this one:
-- then o_is_done is false, and the caller comes again. Of any other, its end will make a request.
create or replace function postq.apply_after(
    p_job uuid, out o_is_done boolean, out o_ready jsonb, out o_ended uuid[]
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
    v_job record;
    v_wait record;
    v_counted record;
    v_open int;
begin
    o_ready := '[]';
    o_ended := '{}';
    select j.finished_at is not null as has_ended into v_job
    from postq.job j where j.id = p_job for update skip locked;
    o_is_done := found or not exists (select from postq.job j where j.id = p_job);
    if v_job.has_ended then
        delete from postq.job_after a where a.child = p_job;
        delete from postq.job_wait w where w.job = p_job;
    end if;
    -- Not planned yet: whoever admits it makes a request of its own.
    if v_job.has_ended is not false or not exists (select from postq.task t where t.job = p_job) then
        return;
    end if;
    select count(*) into v_open from postq.job_after a where a.child = p_job;
    with held as materialized (
        select a.parent, j.state, j.finished_at is not null as has_ended
        from postq.job_after a join postq.job j on j.id = a.parent
        where a.child = p_job order by a.parent for share of j skip locked
    ), known as (
        select h.parent, h.state::text as state, h.has_ended from held h
        union all
        select a.parent, 'is not there any more', true from postq.job_after a
        where a.child = p_job and not exists (select from postq.job j where j.id = a.parent)
    ), counted as (
        delete from postq.job_after a using known k
        where a.child = p_job and a.parent = k.parent and k.has_ended
        returning a.parent, k.state
    )
    select (select count(*) from known) as known, count(*) as ended,
           count(*) filter (where c.state = 'failed') as failed,
           count(*) filter (where c.state <> 'succeeded') as unsuccessful,
           (select format('job %s, which %s', c.parent, case c.state when 'cancelled' then 'was cancelled' else c.state end)
            from counted c where c.state <> 'succeeded' order by c.state = 'failed' desc, c.parent limit 1) as culprit
    into v_counted from counted c;
    o_is_done := v_counted.known = v_open;
    update postq.job_wait w
    set failed = w.failed + v_counted.failed, unsuccessful = w.unsuccessful + v_counted.unsuccessful,
        culprit = coalesce(w.culprit, v_counted.culprit)
    where w.job = p_job
    returning w.* into v_wait;
    if not found then
        return;
    end if;
    if v_counted.ended < v_open then
        -- What it waits for is shown with the job.
        if v_counted.ended > 0 then
            perform postq.advance(array[p_job], '{}', '{}');
        end if;
        return;
    end if;
    delete from postq.job_after a where a.child = p_job;
    delete from postq.job_wait w where w.job = p_job;
    if (case v_wait.run_if when 'succeeded' then v_wait.unsuccessful = 0
            when 'failed' then v_wait.failed > 0 else true end) then
        o_ready := postq.begin_job(p_job, v_wait.run_at);
    else
        perform postq.skip_job(p_job, case v_wait.run_if
            when 'failed' then 'waited for a failure, and none of the jobs it waited for failed'
            else 'waited for ' || v_wait.culprit end);
        o_ended := array[p_job];
    end if;
end;
$$;
revoke all on function postq.apply_after(uuid, out boolean, out jsonb, out uuid[]) from public;
