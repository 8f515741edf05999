-- How many tasks of a queue may be started now, at most p_wanted (o_room; null: any number), with the slots
-- for them, locked: of its limit on running tasks and of its rate (o_pool, o_slot; as many of each, where
-- it has both). Called by claim_room and consume.
create or replace function postq.queue_room(
    p_queue text, p_wanted int, out o_room int, out o_pool text[], out o_slot int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_queue postq.queue;
    v_places int[] := '{}';
    v_starts int[] := '{}';
begin
    o_pool := '{}';
    o_slot := '{}';
    select q.* into v_queue from postq.queue q where q.name = p_queue;
    if v_queue.is_paused then
        o_room := 0;
        return;
    end if;
    if v_queue.max_running is not null then
        v_places := postq.free_slots('queue:' || p_queue, v_queue.max_running, p_wanted);
        o_room := cardinality(v_places);
    end if;
    if v_queue.rate_limit is not null then
        v_starts := postq.free_slots('starts:' || p_queue, v_queue.rate_limit, coalesce(o_room, p_wanted),
            make_interval(secs => v_queue.rate_period_ms / 1000.0));
        o_room := cardinality(v_starts);
    end if;
    if o_room is null then
        return;  -- Its limits were taken away a moment ago.
    end if;
    o_slot := v_places[1 : o_room] || v_starts;
    o_pool := array_fill('queue:' || p_queue, array[cardinality(v_places[1 : o_room])])
        || array_fill('starts:' || p_queue, array[cardinality(v_starts)]);
end;
$$;
revoke all on function postq.queue_room(text, int) from public;
