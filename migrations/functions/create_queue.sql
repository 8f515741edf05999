-- Declares a queue with these settings (a QueueSettings in proto3-JSON), unless there is one of this
-- name: then nothing changes. Returns whether it was made. Raises PQ005.
create or replace function postq.create_queue(queue text, settings jsonb default '{}') returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_variable
declare
    v_settings jsonb := postq.check_queue(queue, settings);
begin
    insert into postq.queue (name, created_at) values (queue, postq.now()) on conflict do nothing;
    if not found then
        return false;
    end if;
    perform postq.set_queue(queue, v_settings);
    return true;
end;
$$;
revoke all on function postq.create_queue(text, jsonb) from public;
