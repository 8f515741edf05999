-- A duration of proto3-JSON ("1.5s") in whole milliseconds.
create or replace function postq.duration_ms(p_duration text) returns bigint
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select trunc(rtrim(p_duration, 's')::numeric * 1000)::bigint;
$$;
revoke all on function postq.duration_ms(text) from public;
