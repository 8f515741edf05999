-- Lets a schedule that rests go on with the next time from now: those in between are not made up for.
-- Safe to repeat. Raises PQ003.
create or replace function postq.resume_schedule(name text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.rest_schedule(resume_schedule.name, false);
end;
$$;
revoke all on function postq.resume_schedule(text) from public;
