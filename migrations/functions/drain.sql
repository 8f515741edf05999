-- Asks a connected agent to take nothing new, to end or hand back what it runs, and to leave; from here
-- on claims give it nothing. Its coordinator tells it at its next beat, or at the hint. Safe to repeat:
-- the first request counts. False where it is not connected.
create or replace function postq.drain(p_agent uuid, p_timeout_ms bigint) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    update postq.agent a
    set drain_timeout_ms = case when a.drain_requested_at is null then p_timeout_ms else a.drain_timeout_ms end,
        drain_requested_at = coalesce(a.drain_requested_at, postq.now())
    where a.id = p_agent and a.coordinator is not null;
    if not found then
        return false;
    end if;
    perform postq.hint('cancel');
    return true;
end;
$$;
revoke all on function postq.drain(uuid, bigint) from public;
