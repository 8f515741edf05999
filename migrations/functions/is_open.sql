-- Whether there is such a job, and it has not ended.
create or replace function postq.is_open(p_job uuid) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select exists (select from postq.job j where j.id = p_job and j.finished_at is null);
$$;
revoke all on function postq.is_open(uuid) from public;
