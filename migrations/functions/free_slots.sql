-- Locks up to p_wanted free slots of a pool of which p_limit may be taken at a time, for the caller to
-- take; those that others have locked count as taken. Slots above the limit, from a time when it was
-- greater or taken by somebody whose own limit is, count too. With p_period a slot is free that long
-- after it was used. Makes slots that were never needed before.
create or replace function postq.free_slots(
    p_pool text, p_limit int, p_wanted int, p_period interval default '0'
) returns int[]
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
    v_is_freed boolean;
    v_free int[];
begin
    for v_round in 1 .. 2 loop
        select count(*) into v_above from postq.slot s
        where s.pool = p_pool and s.n > p_limit
          and (s.is_taken or s.free_at > postq.now() or s.used_at > postq.now() - p_period);
        select coalesce(array_agg(f.n order by f.n), '{}') into v_free from (
            select s.n from postq.slot s
            where s.pool = p_pool and s.n <= p_limit and not s.is_taken
              and (s.free_at is null or s.free_at <= postq.now())
              and (s.used_at is null or s.used_at <= postq.now() - p_period)
            order by s.n limit p_wanted + v_above
            for update skip locked) f;
        exit when v_round = 2 or cardinality(v_free) >= p_wanted + v_above;
        -- Those of attempts that whoever ended did not see to have one.
        update postq.slot s set is_taken = false, job = null, attempt = null
        where s.ctid = any (array(
            select s.ctid from postq.slot s
            where s.pool = p_pool and s.attempt is not null
              and not exists (select from postq.open_attempt o where o.job = s.job and o.attempt = s.attempt)
            for update skip locked));
        v_is_freed := found;
        select count(*) into v_known from postq.slot s where s.pool = p_pool and s.n <= p_limit;
        if v_known < p_limit then
            perform postq.make_slots(p_pool, p_limit, v_known::bigint + p_wanted + c_spare);
        elsif not v_is_freed then
            exit;
        end if;
    end loop;
    return v_free[1 : least(p_wanted, cardinality(v_free) - v_above)];
end;
$$;
revoke all on function postq.free_slots(text, int, int, interval) from public;
