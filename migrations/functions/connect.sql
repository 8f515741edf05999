-- Gives an agent its next session and closes the one before: from here on the old session claims
-- nothing. What it still runs is moved by adopt.
-- p_agent: {id, boot, name, host, version, slots, executors, handlers, labels, resources}.
create or replace function postq.connect(p_coordinator uuid, p_agent jsonb) returns bigint
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_session bigint := nextval('postq.session_id');
begin
    insert into postq.agent as a (id, boot, session, boot_session, coordinator, name, host, version, slots, executors,
        handlers, labels, resources, connected_at)
    values ((p_agent ->> 'id')::uuid, (p_agent ->> 'boot')::uuid, v_session, v_session, p_coordinator, p_agent ->> 'name', p_agent ->> 'host',
        p_agent ->> 'version', (p_agent ->> 'slots')::int,
        array(select jsonb_array_elements_text(p_agent -> 'executors')),
        array(select jsonb_array_elements_text(p_agent -> 'handlers')),
        p_agent -> 'labels', coalesce(p_agent -> 'resources', '{}'), postq.now())
    on conflict (id) do update
    set boot = excluded.boot, session = excluded.session, coordinator = excluded.coordinator,
        boot_session = case when a.boot = excluded.boot then a.boot_session else excluded.session end,
        name = excluded.name, host = excluded.host, version = excluded.version,
        slots = excluded.slots, executors = excluded.executors, handlers = excluded.handlers,
        labels = excluded.labels, resources = excluded.resources,
        -- Whoever was started anew has left, as it was told to.
        drain_requested_at = case when a.boot = excluded.boot then a.drain_requested_at end,
        drain_timeout_ms = case when a.boot = excluded.boot then a.drain_timeout_ms end,
        connected_at = excluded.connected_at, left_at = null;
    return v_session;
end;
$$;
revoke all on function postq.connect(uuid, jsonb) from public;
