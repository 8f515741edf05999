-- Forgets the artifacts of a job; their space is freed some time after. Says whether there were any.
create or replace function postq.delete_artifacts(p_job uuid) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    delete from postq.artifact a where a.job = p_job;
    return found;
end;
$$;
revoke all on function postq.delete_artifacts(uuid) from public;
