-- Makes slots of a pool of which p_limit may be taken at a time, up to p_count of them, unless somebody else
-- is just about that. Locks none that are there.
create or replace function postq.make_slots(p_pool text, p_limit int, p_count bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
    if pg_try_advisory_xact_lock(hashtextextended('postq.slot ' || p_pool, 0)) then
        insert into postq.slot (pool, n)
        select p_pool, i from generate_series(1, least(p_limit::bigint, p_count)) i
        -- Even to find a conflict with a row that somebody has changed is to wait for them.
        where not exists (select from postq.slot s where s.pool = p_pool and s.n = i)
        on conflict do nothing;
    end if;
end;
$$;
revoke all on function postq.make_slots(text, int, bigint) from public;
