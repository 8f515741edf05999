-- Removes the dead letters of a queue, but those that are being consumed. The jobs they tell of
-- stay as they are. Returns how many there were.
create or replace function postq.purge(queue text) returns bigint
language sql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
    select postq.purge_some(queue, null);
$$;
revoke all on function postq.purge(text) from public;
