-- The agents of a coordinator that were asked to leave and take work still, as [[agent, timeout_ms]];
-- no timeout: their own.
create or replace function postq.drains(p_coordinator uuid) returns jsonb
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_array(a.id, a.drain_timeout_ms)), '[]')
    from postq.agent a
    where a.coordinator = p_coordinator and a.drain_requested_at is not null and a.slots > 0;
$$;
revoke all on function postq.drains(uuid) from public;
