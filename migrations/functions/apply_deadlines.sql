-- Applies the deadlines of jobs that have passed, the oldest first, behind p_after (the cursor of the
-- caller; a slow pass starts at -infinity), looking at p_limit at most. What somebody has at hand stays
-- for the next pass.
-- Returns {"applied": count, "looked": count, "last": the latest looked at or null, "ended": [job],
-- "next_ms": milliseconds until the next one or null}.
create or replace function postq.apply_deadlines(p_after timestamptz, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_one record;
    v_done record;
    v_looked int := 0;
    v_applied int := 0;
    v_last timestamptz;
    v_ended uuid[] := '{}';
begin
    for v_one in
        select d.at, d.job, d.kind from postq.deadline d
        where d.at >= p_after and d.at <= postq.now()
        order by d.at, d.job, d.kind limit p_limit for update skip locked
    loop
        v_looked := v_looked + 1;
        v_last := v_one.at;
        select * into v_done from postq.apply_deadline(v_one.job, v_one.kind);
        v_ended := v_ended || v_done.o_ended;
        if v_done.o_is_done then
            v_applied := v_applied + 1;
            delete from postq.deadline d where d.at = v_one.at and d.job = v_one.job and d.kind = v_one.kind;
        end if;
    end loop;
    return jsonb_build_object('applied', v_applied, 'looked', v_looked, 'last', v_last,
        'ended', to_jsonb(v_ended), 'next_ms', postq.next_deadline_ms());
end;
$$;
revoke all on function postq.apply_deadlines(timestamptz, int) from public;
