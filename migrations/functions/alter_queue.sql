-- Changes the settings of a declared queue that are named; null takes the default again. Raises PQ005,
-- and PQ011 where there is no such queue.
create or replace function postq.alter_queue(queue text, settings jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_settings jsonb := postq.check_queue(alter_queue.queue, alter_queue.settings);
begin
    perform postq.need_queue(alter_queue.queue);
    perform postq.set_queue(alter_queue.queue, v_settings);
end;
$$;
revoke all on function postq.alter_queue(text, jsonb) from public;
