-- The time that new leases and pauses are counted from. The floors of times (see sweep_lanes) count on it
-- that a transaction with a new id does not write a time much older than that id: so where the
-- statement has waited for long, its start does not count.
create or replace function postq.lease_start() returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    return greatest(postq.now(), clock_timestamp() - interval '5 s');
end;
$$;
revoke all on function postq.lease_start() from public;
