-- How many tasks a consume may take of a queue that is paused, has a limit on running tasks or a rate, and
-- the slots for them, locked (see queue_room): no more than there is to be taken, so that others are not
-- kept from the rest for as long as the caller's transaction is open. Attempts whose lease is over are
-- ended before, for they have slots too. o_room is null where it may take any number. Called by consume for
-- such queues only.
create or replace function postq.consume_room(
    p_queue text, p_num int, p_now timestamptz, out o_room int, out o_pool text[], out o_slot int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_wanted int;
begin
    perform postq.expire_now(l.lane, l.floor, p_now, p_num)
    from (select array_agg(l.id) as lane, array_agg(l.lease_floor) as floor from postq.lane l
          where l.queue = p_queue and l.executor = 'handler' and l.needs = '{}') l
    where l.lane is not null;
    select count(*) into v_wanted from (
        select from postq.lane l
        cross join lateral (
            (select from postq.ready r where r.lane = l.id and r.seq > l.floor order by r.seq limit p_num)
            union all
            (select from postq.scheduled s where s.lane = l.id and s.run_at > l.due_floor and s.run_at <= p_now
             order by s.run_at limit p_num)
            union all
            (select from postq.parked k where k.lane = l.id limit p_num)
        ) x
        where l.queue = p_queue and l.executor = 'handler' and l.needs = '{}'
        limit p_num) w;
    select * into o_room, o_pool, o_slot from postq.queue_room(p_queue, v_wanted);
end;
$$;
revoke all on function postq.consume_room(text, int, timestamptz) from public;
