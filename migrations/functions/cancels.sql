-- The attempts on a coordinator's agents that were asked to stop, as [[agent, attempt]].
create or replace function postq.cancels(p_coordinator uuid) returns jsonb
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_array(o.agent, o.attempt)), '[]')
    from postq.agent a join postq.open_attempt o on o.agent = a.id
    where a.coordinator = p_coordinator and o.cancel_requested_at is not null;
$$;
revoke all on function postq.cancels(uuid) from public;
