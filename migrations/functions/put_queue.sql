-- Declares a queue, or changes the settings of one that is declared, unless p_is_new_only. Called by the
-- coordinator. p_settings as create_queue takes it. Returns {"queue": (see queue_shown), "created": bool}.
create or replace function postq.put_queue(p_queue text, p_settings jsonb, p_is_new_only boolean) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_created boolean := postq.create_queue(p_queue, p_settings);
begin
    if not v_created and not p_is_new_only then
        perform postq.alter_queue(p_queue, p_settings);
    end if;
    return jsonb_build_object('queue', postq.queue_shown(p_queue), 'created', v_created);
end;
$$;
revoke all on function postq.put_queue(text, jsonb, boolean) from public;
