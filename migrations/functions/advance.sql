-- The last step of every verb that changes tasks, but for succeed_singles, which does the same on its way: gives
-- each job its next revision, counts what has ended, and ends the jobs that have no open task left. The caller
-- holds the jobs' rows.
-- Returns the jobs that ended.
create or replace function postq.advance(
    p_job uuid[], p_ended_job uuid[], p_ended_n int[]
) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_keep constant int := 64;
    v_ended uuid[];
begin
    with given as (
        select u.job, null::int as n from unnest(p_job) as u (job)
        union all
        select e.job, e.n from unnest(p_ended_job, p_ended_n) as e (job, n)
    ), ended as (
        select g.job, count(t.job)::int as ended,
               count(*) filter (where t.state = 'failed')::int as failed,
               count(*) filter (where t.state = 'cancelled')::int as cancelled
        from given g
        left join postq.task t on t.job = g.job and t.n = g.n
        group by g.job
    ), newest as (
        select e.job, p.revision, p.open - e.ended as open, p.failed + e.failed as failed,
               p.cancelled + e.cancelled as cancelled
        from ended e cross join lateral postq.progress_of(e.job) p
    ), noted as (
        insert into postq.job_progress (job, revision, open, failed, cancelled)
        select job, revision + 1, open, failed, cancelled from newest
        returning job, revision, open, failed, cancelled
    ), trimmed as (
        -- In pages, so that the rows a reader is on are not pulled away from under it.
        delete from postq.job_progress p
        using newest n
        where n.revision % c_keep = 0 and p.job = n.job and p.revision < n.revision
    ), done as (
        update postq.job j
        set state = case when n.failed > 0 or j.overdue is not null then 'failed'
                         when n.cancelled > 0 then 'cancelled'
                         else 'succeeded' end::postq.state_of_job,
            finished_at = postq.now(),
            reason = case when j.overdue is not null then j.overdue when n.failed > 0 then (
                    select format('task "%s" %s%s', s.name, t.state, ': ' || t.reason)
                    from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n
                    where t.job = n.job and t.state = 'failed'
                    order by t.n limit 1)
                when n.cancelled > 0 then j.reason end
        from noted n
        where j.id = n.job and n.open = 0 and j.finished_at is null
        returning j.id
    )
    select coalesce(array_agg(id), '{}') into v_ended from done;
    perform postq.job_ended(v_ended);
    return v_ended;
end;
$$;
revoke all on function postq.advance(uuid[], uuid[], int[]) from public;
