-- Lets a schedule rest, until resume_schedule. Safe to repeat. Raises PQ003.
create or replace function postq.pause_schedule(name text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.rest_schedule(pause_schedule.name, true);
end;
$$;
revoke all on function postq.pause_schedule(text) from public;
