-- Marks an agent as gone where the session is still its current one, and returns the attempts that
-- it leaves behind, for the caller to finish as lost; those that must not overlap another are left to orphans.
create or replace function postq.disconnect(
    p_agent uuid, p_session bigint
) returns table (attempt bigint, session bigint, job uuid, n int)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    update postq.agent a set coordinator = null, left_at = postq.now()
    where a.id = p_agent and a.session = p_session and a.coordinator is not null;
    if found then
        return query select o.attempt, o.session, o.job, o.n
            from postq.open_attempt o where o.agent = p_agent and not postq.is_exclusive(o.job, o.n);
    end if;
end;
$$;
revoke all on function postq.disconnect(uuid, bigint) from public;
