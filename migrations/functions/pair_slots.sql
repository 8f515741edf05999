-- Which picked task gets which of the slots that were offered to its lane: first those of the agent it
-- prefers, then the others in their order. p_lane and p_prefer tell the tasks in the order they were
-- ready, p_slot_lane and p_slot_agent the slots; both are answered by their places. There are at least as
-- many slots of a lane as tasks. Called by claim.
-- It reads no table, so hashing is right whatever the statistics say, and loops over loops are not: by
-- these a claim of 500 spent most of its time here. (The caller forbids hashing, for what it reads.)
create or replace function postq.pair_slots(
    p_lane bigint[], p_prefer uuid[], p_slot_lane bigint[], p_slot_agent uuid[]
) returns table (task bigint, slot bigint)
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    return query
    with task as materialized (
        select t.place, t.lane, t.prefer from unnest(p_lane, p_prefer) with ordinality as t (lane, prefer, place)
    ), slot as materialized (
        select s.place, s.lane, s.agent from unnest(p_slot_lane, p_slot_agent) with ordinality as s (lane, agent, place)
    ), preferred as materialized (
        select t.place as task, s.place as slot
        from (select t.*, row_number() over (partition by t.lane, t.prefer order by t.place) as k
              from task t where t.prefer is not null) t
        join (select s.*, row_number() over (partition by s.lane, s.agent order by s.place) as k from slot s) s
          on s.lane = t.lane and s.agent = t.prefer and s.k = t.k
    )
    select p.task, p.slot from preferred p
    union all
    select t.place, s.place
    from (select t.place, t.lane, row_number() over (partition by t.lane order by t.place) as k
          from task t where t.place not in (select p.task from preferred p)) t
    join (select s.place, s.lane, row_number() over (partition by s.lane order by s.place) as k
          from slot s where s.place not in (select p.slot from preferred p)) s
      on s.lane = t.lane and s.k = t.k;
end;
$$;
revoke all on function postq.pair_slots(bigint[], uuid[], bigint[], uuid[]) from public;
