-- Parks tasks whose time has come, which the caller, a consumer, holds: jobs of several tasks learn of it
-- through the inbox. Called by take_scheduled and join_lines.
create or replace function postq.park_due(p_job uuid[], p_n int[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.park(p_job, p_n, array_fill(null::uuid, array[cardinality(p_n)]));
    insert into postq.inbox (job, kind, n)
    select x.job, 'note', x.n
    from unnest(p_job, p_n) as x (job, n)
    where (select s.task_count > 1 from postq.job_spec s where s.job = x.job);
end;
$$;
revoke all on function postq.park_due(uuid[], int[]) from public;
