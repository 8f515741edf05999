-- Compares what an agent holds with what the database has open for it, and moves what both know to
-- the agent's current session. Called at connect, and after every answer to "what do you hold".
-- Verdicts: `adopted` (both know it), `unknown` (only the agent: it is to be abandoned), `missing`
-- (only the database: it never arrived there, and is to be released), `died` (only the database, and
-- from before the agent's process started: it is lost).
-- Returns nothing where the session is not current any more.
create or replace function postq.adopt(
    p_agent uuid, p_session bigint, p_attempt bigint[]
) returns table (attempt bigint, session bigint, job uuid, n int, verdict text)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    perform 1 from postq.agent a where a.id = p_agent and a.session = p_session for update;
    if not found then
        return;
    end if;
    update postq.open_attempt o set session = p_session
    where o.agent = p_agent and o.attempt = any (p_attempt) and o.session <> p_session;
    return query
        select o.attempt, o.session, o.job, o.n,
               case when o.attempt = any (p_attempt) then 'adopted'
                    when o.session < a.boot_session then 'died'
                    else 'missing' end
        from postq.agent a join postq.open_attempt o on o.agent = a.id where a.id = p_agent
        union all
        select x.attempt, p_session, null, null, 'unknown'
        from unnest(p_attempt) as x (attempt)
        where not exists (select from postq.open_attempt o where o.agent = p_agent and o.attempt = x.attempt);
end;
$$;
revoke all on function postq.adopt(uuid, bigint, bigint[]) from public;
