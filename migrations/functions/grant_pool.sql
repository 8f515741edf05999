-- Gives what is parked at a pool its slots, the greatest priority first and in order within one, as long
-- as there are any; at most p_limit tasks. A task that has its concurrency key and wants a rate as well
-- goes on to that. Waits for nobody: what somebody has at hand is left for the next time.
-- Returns the lanes that have new rows, as [[lane, seq]].
create or replace function postq.grant_pool(p_pool text, p_limit int default 100) returns jsonb
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
    v_slots record;
    v_job uuid[] := '{}';
    v_n int[] := '{}';
    v_prefer uuid[] := '{}';
    v_changed uuid[] := '{}';
    v_ready jsonb;
begin
    for v_one in
        select k.pool, k.rank, k.seq, k.job, k.n, k.lane, k.prefer from postq.parked k
        where k.pool = p_pool order by k.rank, k.seq limit p_limit for update skip locked
    loop
        perform 1 from postq.job j where j.id = v_one.job for update skip locked;
        continue when not found;
        perform 1 from postq.task t where t.job = v_one.job and t.n = v_one.n and t.state = 'parked' for update skip locked;
        if not found then
            -- It has ended meanwhile, or somebody has it at hand.
            delete from postq.parked k
            where k.pool = v_one.pool and k.rank = v_one.rank and k.seq = v_one.seq
              and not exists (select from postq.task t
                              where t.job = v_one.job and t.n = v_one.n and t.state = 'parked');
            continue;
        end if;
        select * into v_slots from postq.take_keys(v_one.job, v_one.n, false);
        exit when not v_slots.o_has_changed;
        delete from postq.parked k where k.pool = v_one.pool and k.rank = v_one.rank and k.seq = v_one.seq;
        v_changed := v_changed || v_one.job;
        if v_slots.o_is_ready then
            v_job := v_job || v_one.job;
            v_n := v_n || v_one.n;
            v_prefer := v_prefer || v_one.prefer;
        else
            insert into postq.parked (pool, rank, seq, job, n, lane, prefer)
            values (v_slots.o_pool, v_one.rank, nextval('postq.parked_seq'), v_one.job, v_one.n, v_one.lane, v_one.prefer);
        end if;
    end loop;
    v_ready := postq.enter_lanes(v_job, v_n, v_prefer);
    if v_changed <> '{}' then
        perform postq.advance(v_changed, '{}', '{}');
    end if;
    return v_ready;
end;
$$;
revoke all on function postq.grant_pool(text, int) from public;
