-- What is wrong with a duration of proto3-JSON ("1.5s") that is too long; null where nothing is.
create or replace function postq.duration_fault(p_duration text, p_max_seconds int) returns text
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select case when rtrim(p_duration, 's')::numeric > p_max_seconds then
        format('is %ss; it may be %ss', trunc(rtrim(p_duration, 's')::numeric), p_max_seconds) end;
$$;
revoke all on function postq.duration_fault(text, int) from public;
