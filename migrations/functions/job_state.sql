-- The state of a job; null where there is none.
create or replace function postq.job_state(id uuid) returns text
language sql stable security definer
set search_path = pg_catalog, postq, pg_temp
as $$
    select j.state::text from postq.job j where j.id = job_state.id;
$$;
revoke all on function postq.job_state(uuid) from public;
