-- The lane for tasks of one kind; made where none is visible yet. Called by admit, in whatever
-- transaction submits: two at once may make twins, and neither waits for the other.
-- p_needs: as needs_of makes it.
create or replace function postq.lane_of(
    p_queue text, p_priority int, p_executor postq.executor, p_handler text, p_needs jsonb default '{}'
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_lane bigint;
begin
    select l.id into v_lane
    from postq.lane l
    where l.queue = p_queue and l.priority = p_priority and l.executor = p_executor
      and l.handler is not distinct from p_handler
      and hashtextextended(l.needs::text, 0) = hashtextextended(p_needs::text, 0) and l.needs = p_needs
    order by l.id
    limit 1;
    if v_lane is null then
        insert into postq.lane (queue, priority, executor, handler, needs)
        values (p_queue, p_priority, p_executor, p_handler, p_needs)
        returning id into v_lane;
    end if;
    return v_lane;
end;
$$;
revoke all on function postq.lane_of(text, int, postq.executor, text, jsonb) from public;
