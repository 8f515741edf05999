-- Pauses a queue: nothing of it is started until it is resumed; what runs goes on. Declares it where it
-- was not. Raises PQ005.
create or replace function postq.pause(queue text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.set_queue(pause.queue, postq.check_queue(pause.queue, '{"paused": true}'));
end;
$$;
revoke all on function postq.pause(text) from public;
