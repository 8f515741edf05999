-- Registers a coordinator at its start, and again after it was buried by mistake.
create or replace function postq.enlist(p_coordinator uuid, p_host text, p_version text) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    insert into postq.coordinator (id, host, version, beat, is_sleeping, started_at)
    values (p_coordinator, p_host, p_version, 0, false, postq.now())
    on conflict (id) do nothing;
$$;
revoke all on function postq.enlist(uuid, text, text) from public;
