-- Registers a coordinator as waiting for hints, or as busy looking by itself. Sleepers register,
-- look once more, then wait.
create or replace function postq.doze(p_coordinator uuid, p_is_sleeping boolean) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    update postq.coordinator c set is_sleeping = p_is_sleeping
    where c.id = p_coordinator and c.is_sleeping <> p_is_sleeping;
$$;
revoke all on function postq.doze(uuid, boolean) from public;
