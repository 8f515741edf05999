-- The strongly connected components of more than one task, among the tasks with p_waiting > 0
-- (check_cycles takes all others away first): for each task the number of its knot, which is one of
-- its tasks; 0 outside of any. Tarjan's algorithm with a stack of its own: chains may be long.
create or replace function postq.find_knots(
    p_start int[], p_parents int[], p_waiting int[]
) returns int[]
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_count int := cardinality(p_waiting);
    v_knot_of int[] := array_fill(0, array[v_count]);
    -- When a task was met, 0 before; and the earliest one on the stack that it can reach.
    v_met int[] := v_knot_of;
    v_low int[] := v_knot_of;
    v_clock int := 0;
    v_is_open boolean[] := array_fill(false, array[v_count]);
    v_stack int[] := v_knot_of;
    v_height int := 0;
    -- The way from the root to the task in hand, and the next edge of each task.
    v_way int[] := v_knot_of;
    v_depth int;
    v_edge int[] := p_start;
    v_task int;
    v_parent int;
begin
    for v_root in 1 .. v_count loop
        continue when p_waiting[v_root] = 0 or v_met[v_root] <> 0;
        v_depth := 1;
        v_way[1] := v_root;
        while v_depth > 0 loop
            v_task := v_way[v_depth];
            if v_met[v_task] = 0 then
                v_clock := v_clock + 1;
                v_met[v_task] := v_clock;
                v_low[v_task] := v_clock;
                v_height := v_height + 1;
                v_stack[v_height] := v_task;
                v_is_open[v_task] := true;
            end if;
            if v_edge[v_task] < p_start[v_task + 1] then
                v_parent := p_parents[v_edge[v_task]];
                v_edge[v_task] := v_edge[v_task] + 1;
                if v_met[v_parent] = 0 then
                    v_depth := v_depth + 1;
                    v_way[v_depth] := v_parent;
                elsif v_is_open[v_parent] then
                    v_low[v_task] := least(v_low[v_task], v_met[v_parent]);
                end if;
                continue;
            end if;
            if v_low[v_task] = v_met[v_task] then
                loop
                    v_parent := v_stack[v_height];
                    v_height := v_height - 1;
                    v_is_open[v_parent] := false;
                    -- Alone on its part of the stack: no knot.
                    exit when v_parent = v_task and v_knot_of[v_task] = 0;
                    v_knot_of[v_parent] := v_task;
                    v_knot_of[v_task] := v_task;
                    exit when v_parent = v_task;
                end loop;
            end if;
            v_depth := v_depth - 1;
            if v_depth > 0 then
                v_low[v_way[v_depth]] := least(v_low[v_way[v_depth]], v_low[v_task]);
            end if;
        end loop;
    end loop;
    return v_knot_of;
end;
$$;
revoke all on function postq.find_knots(int[], int[], int[]) from public;
