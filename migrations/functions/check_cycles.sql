-- Tasks that wait for each other. The parents of task t are p_parents[p_start[t]] up to before
-- p_start[t + 1], in the order written; p_children counts who waits for each. Called by
-- check_depends; iterative and linear throughout. Returns one line per knot of cycles, as
-- postq_common::dag: the shortest cycle through the first name of the knot.
create or replace function postq.check_cycles(
    p_names text[], p_start int[], p_parents int[], p_children int[]
) returns text[]
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_shown constant int := 12;
    v_count int := cardinality(p_names);
    v_waiting int[] := p_children;
    v_queue int[] := array_fill(0, array[v_count]);
    v_done int := 0;
    v_next int := 0;
    v_task int;
    v_parent int;
    v_knot_of int[];
    v_is_told boolean[];
    v_cycle text[];
    v_lines text[] := '{}';
begin
    -- Take away, again and again, what nobody waits for: all of it goes where there is no cycle.
    for v_task in 1 .. v_count loop
        if v_waiting[v_task] = 0 then
            v_done := v_done + 1;
            v_queue[v_done] := v_task;
        end if;
    end loop;
    while v_next < v_done loop
        v_next := v_next + 1;
        v_task := v_queue[v_next];
        for v_edge in p_start[v_task] .. p_start[v_task + 1] - 1 loop
            v_parent := p_parents[v_edge];
            v_waiting[v_parent] := v_waiting[v_parent] - 1;
            if v_waiting[v_parent] = 0 then
                v_done := v_done + 1;
                v_queue[v_done] := v_parent;
            end if;
        end loop;
    end loop;
    if v_done = v_count then
        return '{}';
    end if;

    v_knot_of := postq.find_knots(p_start, p_parents, v_waiting);
    v_is_told := array_fill(false, array[v_count]);
    for v_task in 1 .. v_count loop
        if v_knot_of[v_task] <> 0 and not v_is_told[v_knot_of[v_task]] then
            v_is_told[v_knot_of[v_task]] := true;
            select array_agg(postq.shown(p_names[c.task]) order by c.nth) into v_cycle
            from unnest(postq.shortest_cycle(v_task, p_start, p_parents, v_knot_of))
                with ordinality as c (task, nth);
            v_lines := v_lines || postq.problem_line(array['tasks', p_names[v_task], 'depends'], '', format(
                'these tasks wait for each other: %s; remove a dependency', array_to_string(
                    v_cycle[1:c_shown]
                    || case when cardinality(v_cycle) > c_shown
                       then array[format('(%s more)', cardinality(v_cycle) - c_shown)] end
                    || v_cycle[1], ' -> ')));
        end if;
    end loop;
    return v_lines;
end;
$$;
revoke all on function postq.check_cycles(text[], int[], int[], int[]) from public;
