-- Removes the dead letters of a queue, but those that are being consumed. The jobs they tell of
-- stay as they are. Returns how many there were.
create or replace function postq.purge(queue text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_count bigint;
begin
    delete from postq.dead_letter d
    where d.ctid = any (array(
        select d.ctid from postq.dead_letter d
        where d.queue = purge.queue and (d.attempt is null or d.lease_until <= postq.now())
        for update skip locked));
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
revoke all on function postq.purge(text) from public;
