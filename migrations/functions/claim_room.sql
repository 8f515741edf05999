-- How much a claim may take from lanes of queues that are paused, have a limit on running tasks or a rate:
-- o_lane and o_room; lanes that are not named may be taken from at will. The slots that it may take
-- for that are locked (o_queue, o_pool, o_slot). p_slot_lane names a lane once for each slot that is offered; the
-- greater priority goes first, as far as there is something behind its cursor (p_after).
-- Called by claim.
create or replace function postq.claim_room(
    p_lane bigint[], p_after bigint[], p_slot_lane bigint[], out o_lane bigint[], out o_room int[], out o_queue text[], out o_pool text[],
    out o_slot int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_queue record;
    v_lane record;
    v_room record;
    v_left int;
begin
    o_lane := '{}';
    o_room := '{}';
    o_queue := '{}';
    o_pool := '{}';
    o_slot := '{}';
    if not exists (select from postq.queue q where q.is_paused or q.max_running is not null or q.rate_limit is not null) then
        return;
    end if;
    for v_queue in
        select q.name, sum(x.wanted)::int as wanted
        from (select s.lane, count(*) as wanted from unnest(p_slot_lane) as s (lane) group by s.lane) x
        join postq.lane l on l.id = x.lane
        join postq.queue q on q.name = l.queue
            and (q.is_paused or q.max_running is not null or q.rate_limit is not null)
        group by q.name order by q.name
    loop
        select * into v_room from postq.queue_room(v_queue.name, v_queue.wanted);
        v_left := v_room.o_room;
        o_queue := o_queue || array_fill(v_queue.name, array[cardinality(v_room.o_slot)]);
        o_pool := o_pool || v_room.o_pool;
        o_slot := o_slot || v_room.o_slot;
        for v_lane in
            select l.id, (select count(*)::int from (
                       select from postq.ready r where r.lane = l.id and r.seq > x.after
                       order by r.seq limit (select count(*) from unnest(p_slot_lane) as s (lane) where s.lane = l.id)) w
                   ) as wanted
            from unnest(p_lane, p_after) as x (lane, after) join postq.lane l on l.id = x.lane
            where l.queue = v_queue.name
            order by l.priority desc, l.id
        loop
            o_lane := o_lane || v_lane.id;
            o_room := o_room || least(v_lane.wanted, v_left);
            v_left := v_left - least(v_lane.wanted, v_left);
        end loop;
    end loop;
end;
$$;
revoke all on function postq.claim_room(bigint[], bigint[], bigint[]) from public;
