-- The shortest cycle through a task of a knot, in the order its tasks would run, starting with it:
-- breadth first from child to parent, inside the knot. Called by check_cycles.
create or replace function postq.shortest_cycle(
    p_first int, p_start int[], p_parents int[], p_knot_of int[]
) returns int[]
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- From which child each task was met, by the task's number.
    v_met_from int[];
    v_queue int[] := array[p_first];
    v_next int := 1;
    v_task int;
    v_parent int;
    v_cycle int[] := array[p_first];
begin
    while v_met_from[p_first] is null loop
        v_task := v_queue[v_next];
        v_next := v_next + 1;
        for v_edge in p_start[v_task] .. p_start[v_task + 1] - 1 loop
            v_parent := p_parents[v_edge];
            if p_knot_of[v_parent] = p_knot_of[p_first] and v_met_from[v_parent] is null then
                v_met_from[v_parent] := v_task;
                v_queue[cardinality(v_queue) + 1] := v_parent;
                exit when v_parent = p_first;
            end if;
        end loop;
    end loop;
    v_task := v_met_from[p_first];
    while v_task <> p_first loop
        v_cycle[cardinality(v_cycle) + 1] := v_task;
        v_task := v_met_from[v_task];
    end loop;
    return v_cycle;
end;
$$;
revoke all on function postq.shortest_cycle(int, int[], int[], int[]) from public;
