-- Who waits for whom: unknown and repeated names, tasks that wait for themselves, cycles. On a
-- document that passed check_shape; rules, messages and their order are those of postq_common::dag.
-- Returns one line per problem.
create or replace function postq.check_depends(p_job jsonb) returns text[]
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    c_per_task constant int := 100000;
    c_per_job constant int := 5000000;
    v_total bigint;
    v_names text[];
    v_lines text[];
    -- The parents of task t, in the order written: v_parents[v_start[t]] to before v_start[t + 1].
    v_start int[];
    v_parents int[];
    -- How many tasks wait for each.
    v_children int[];
begin
    select sum(jsonb_array_length(t.value -> 'depends')) into v_total from jsonb_each(p_job -> 'tasks') t;
    if coalesce(v_total, 0) = 0 then
        return '{}';
    end if;
    if v_total > c_per_job then
        return array[postq.problem_line('{tasks}', '',
            format('the job has %s dependencies; it may have %s', v_total, c_per_job))];
    end if;
    with task as materialized (
        select t.key collate "C" as name, t.value -> 'depends' as depends,
               (row_number() over (order by t.key collate "C"))::int as t
        from jsonb_each(p_job -> 'tasks') t
    ), listed as materialized (
        select t.t, t.name, d.nth::int as nth, d.name as parent_name, p.t as parent
        from task t
        cross join lateral jsonb_array_elements_text(t.depends) with ordinality d (name, nth)
        left join task p on p.name = d.name
    ), edge as materialized (
        select l.t, l.parent, min(l.nth) as nth
        from listed l where l.parent <> l.t
        group by l.t, l.parent
    ), problem as (
        select t.t, 0 as nth, t.name, '' as place,
               format('has %s names; it may have %s: let a task in between gather some',
                      jsonb_array_length(t.depends), c_per_task) as message
        from task t where jsonb_array_length(t.depends) > c_per_task
        union all
        select l.t, l.nth, l.name, format('[%s]', l.nth - 1), case
            when l.parent is null then format('task "%s" depends on "%s", which is not a task of this job',
                postq.shown(l.name), postq.shown(l.parent_name))
            when l.parent = l.t then format('task "%s" depends on itself', postq.shown(l.name))
            else format('task "%s" depends on "%s" twice; name it once',
                postq.shown(l.name), postq.shown(l.parent_name)) end
        from listed l
        left join edge e on e.t = l.t and e.parent = l.parent and e.nth = l.nth
        where e.t is null
    )
    select (select array_agg(t.name order by t.t) from task t),
           (select array_agg(e.parent order by e.t, e.nth) from edge e),
           (select array_agg(s.start order by s.t) from (
                select t.t, (1 + sum(coalesce(n.count, 0)) over (order by t.t) - coalesce(n.count, 0))::int as start
                from task t left join (select e.t, count(*) from edge e group by e.t) n on n.t = t.t) s),
           (select array_agg(coalesce(n.count, 0)::int order by t.t)
            from task t left join (select e.parent, count(*) from edge e group by e.parent) n on n.parent = t.t),
           (select array_agg(postq.problem_line(array['tasks', p.name, 'depends'], p.place, p.message)
                             order by p.t, p.nth) from problem p)
    into v_names, v_parents, v_start, v_children, v_lines;
    v_start := v_start || coalesce(cardinality(v_parents), 0) + 1;
    return coalesce(v_lines, '{}') || postq.check_cycles(v_names, v_start, v_parents, v_children);
end;
$$;
revoke all on function postq.check_depends(jsonb) from public;
