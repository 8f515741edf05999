-- The clock of every function here. Tests replace it in their own database.
create or replace function postq.now() returns timestamptz
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select statement_timestamp();
$$;
revoke all on function postq.now() from public;
