-- Declares a coordinator dead whose beat is still the one the caller has watched for long enough,
-- and with it its agents that nobody has adopted. Returns the attempts they leave behind, for the
-- caller to finish as lost; those that must not overlap another are left to orphans.
create or replace function postq.bury(
    p_coordinator uuid, p_beat bigint
) returns table (attempt bigint, session bigint, job uuid, n int)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    delete from postq.coordinator c where c.id = p_coordinator and c.beat = p_beat;
    if not found then
        return;
    end if;
    return query
    with gone as (
        update postq.agent a set coordinator = null, left_at = postq.now()
        where a.coordinator = p_coordinator
        returning a.id
    )
    select o.attempt, o.session, o.job, o.n
    from gone g join postq.open_attempt o on o.agent = g.id
    where not postq.is_exclusive(o.job, o.n);
end;
$$;
revoke all on function postq.bury(uuid, bigint) from public;
