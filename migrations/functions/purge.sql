-- Removes the dead letters of a queue, but those that are being consumed. The jobs they tell of
-- stay as they are. Returns how many there were. Raises PQ005.
create or replace function postq.purge(queue text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('queue', case when purge.queue is null then 'is null; name the queue' end);
    return postq.purge_some(purge.queue, null);
end;
$$;
revoke all on function postq.purge(text) from public;
