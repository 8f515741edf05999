-- Locks up to p_wanted free slots of a pool of which p_limit may be taken at a time, for the caller to
-- take; those that others have locked count as taken. Slots above the limit, from a time when it was
-- greater or taken by somebody whose own limit is, count too. Makes slots that were never needed
-- before, unless somebody else is just about that.
create or replace function postq.free_slots(p_pool text, p_limit int, p_wanted int) returns int[]
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    c_spare constant int := 8;
    v_above int;
    v_known int;
    v_free int[];
begin
    for v_round in 1 .. 2 loop
        select count(*) into v_above from postq.slot s
        where s.pool = p_pool and s.n > p_limit and (s.is_taken or s.free_at > postq.now());
        select coalesce(array_agg(f.n order by f.n), '{}') into v_free from (
            select s.n from postq.slot s
            where s.pool = p_pool and s.n <= p_limit and not s.is_taken
              and (s.free_at is null or s.free_at <= postq.now())
            order by s.n limit p_wanted + v_above
            for update skip locked) f;
        exit when v_round = 2 or cardinality(v_free) >= p_wanted + v_above;
        select count(*) into v_known from postq.slot s where s.pool = p_pool and s.n <= p_limit;
        exit when v_known >= p_limit
            or not pg_try_advisory_xact_lock(hashtextextended('postq.slot ' || p_pool, 0));
        insert into postq.slot (pool, n)
        select p_pool, i from generate_series(1, least(p_limit::bigint, v_known::bigint + p_wanted + c_spare)) i
        -- Even to find a conflict with a row that somebody has changed is to wait for them.
        where not exists (select from postq.slot s where s.pool = p_pool and s.n = i)
        on conflict do nothing;
    end loop;
    return v_free[1 : least(p_wanted, cardinality(v_free) - v_above)];
end;
$$;
revoke all on function postq.free_slots(text, int, int) from public;
