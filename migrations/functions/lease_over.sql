-- What is told of an attempt whose lease ended.
create or replace function postq.lease_over() returns text
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select 'its lease ended, and its consumer was not heard of';
$$;
revoke all on function postq.lease_over() from public;
