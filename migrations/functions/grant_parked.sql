-- The slow pass over what is parked, for what committed while others looked: the requests, then up to
-- p_limit pools behind p_after. Also tells of queues whose rate allows a start again, and forgets slots of
-- keys that nobody wants. Returns {"ready": [[lane, seq]],
-- "last": the last pool looked at, null where there are no more, "next_ms": until the first slot of a rate
-- that is waited for is free, of a key or a queue, or null, "is_parked": whether anything is parked}.
create or replace function postq.grant_parked(p_after text, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_ready jsonb := postq.grant_vacant();
    v_pool text := p_after;
    v_next timestamptz;
    v_soonest timestamptz;
    v_left int := p_limit;
begin
    loop
        select k.pool into v_pool from postq.parked k where k.pool > v_pool order by k.pool limit 1;
        exit when not found;
        v_ready := v_ready || postq.grant_pool(v_pool);
        if v_pool like 'rate:%' and exists (select from postq.parked k where k.pool = v_pool) then
            select min(s.free_at) into v_next from postq.slot s
            where s.pool = v_pool and not s.is_taken and s.free_at > postq.now();
            v_soonest := least(v_soonest, v_next);
        end if;
        v_left := v_left - 1;
        exit when v_left <= 0;
    end loop;
    if p_after = '' then
        v_soonest := least(v_soonest, postq.next_starts());
        delete from postq.slot s
        where s.ctid = any (array(
            select s.ctid from postq.slot s
            where not s.is_taken and coalesce(s.free_at < postq.now(), true)
              and (s.pool like 'key:%' or s.pool like 'rate:%')
              and not exists (select from postq.parked k where k.pool = s.pool)
            limit p_limit for update skip locked));
    end if;
    return jsonb_build_object('ready', v_ready, 'last', v_pool, 'is_parked', exists (select from postq.parked),
        'next_ms', (extract(epoch from v_soonest - postq.now()) * 1000)::bigint);
end;
$$;
revoke all on function postq.grant_parked(text, int) from public;
