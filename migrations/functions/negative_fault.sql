-- What is wrong with a duration of proto3-JSON below zero; null where nothing is.
create or replace function postq.negative_fault(p_duration text) returns text
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select case when p_duration ~ '^-.*[1-9]' then 'is negative; write zero seconds or more' end;
$$;
revoke all on function postq.negative_fault(text) from public;
