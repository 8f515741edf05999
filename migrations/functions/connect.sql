-- Gives an agent its next session and closes the one before: from here on the old session claims
-- nothing. What it still runs is moved by adopt.
-- p_agent: {id, boot, name, host, version, slots, executors, handlers, labels}.
create or replace function postq.connect(
    p_coordinator uuid, p_agent jsonb, out o_session bigint, out o_is_same_boot boolean
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := p_agent ->> 'id';
    v_boot uuid := p_agent ->> 'boot';
begin
    select a.boot = v_boot into o_is_same_boot from postq.agent a where a.id = v_id for update;
    o_is_same_boot := coalesce(o_is_same_boot, false);
    o_session := nextval('postq.session_id');
    insert into postq.agent (id, boot, session, coordinator, name, host, version, slots, executors,
        handlers, labels, connected_at)
    values (v_id, v_boot, o_session, p_coordinator, p_agent ->> 'name', p_agent ->> 'host',
        p_agent ->> 'version', (p_agent ->> 'slots')::int,
        array(select jsonb_array_elements_text(p_agent -> 'executors')),
        array(select jsonb_array_elements_text(p_agent -> 'handlers')),
        p_agent -> 'labels', postq.now())
    on conflict (id) do update
    set boot = excluded.boot, session = excluded.session, coordinator = excluded.coordinator,
        name = excluded.name, host = excluded.host, version = excluded.version,
        slots = excluded.slots, executors = excluded.executors, handlers = excluded.handlers,
        labels = excluded.labels, connected_at = excluded.connected_at, left_at = null;
end;
$$;
revoke all on function postq.connect(uuid, jsonb) from public;
