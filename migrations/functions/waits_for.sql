-- What a job waits for, for a person; null where it waits for no job.
create or replace function postq.waits_for(p_job uuid) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select 'waits for job ' || min(a.parent::text)
        || case count(*) when 1 then '' else format(' and %s more', count(*) - 1) end
    from postq.job_after a where a.child = p_job having count(*) > 0;
$$;
revoke all on function postq.waits_for(uuid) from public;
