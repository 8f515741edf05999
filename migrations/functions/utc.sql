-- A time as JSON has it, whatever zone the caller is in.
create or replace function postq.utc(p_time timestamptz) returns text
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
$$;
revoke all on function postq.utc(timestamptz) from public;
