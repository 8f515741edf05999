-- Submits many jobs at once, all or none; see submit and submit_unique. ids, where given, has the id of
-- each, or null. Returns what became of each, in the order given. All that is wrong with any of them is
-- told together (PQ002), each with its place: "[3].tasks.a.command: ...".
create or replace function postq.submit_many(jobs jsonb[], ids uuid[] default null)
returns table (id uuid, created boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set work_mem = '64MB'
as $$
declare
    c_jobs constant int := 10000;
    v_lines text[];
    v_is_plain boolean[];
    v_items jsonb;
begin
    if coalesce(cardinality(submit_many.jobs), 0) = 0 then
        return;
    end if;
    perform postq.check_argument('jobs', case
        when array_ndims(submit_many.jobs) > 1 then 'is no list; it has several dimensions'
        when cardinality(submit_many.jobs) > c_jobs then
            format('has %s jobs; it may have %s', cardinality(submit_many.jobs), c_jobs) end);
    perform postq.check_argument('ids', case when cardinality(submit_many.ids) <> cardinality(submit_many.jobs) then
        'has not as many elements as jobs' end);
    select array_agg(postq.is_plain(j.job) order by j.place) into v_is_plain
    from unnest(submit_many.jobs) with ordinality j (job, place);
    select array_agg(format('[%s]%s%s', j.place - 1, case when f.line ~ '^(invalid type|the document)' then ': ' else '.' end,
                            f.line) order by j.place, f.nth)
    into v_lines
    from unnest(submit_many.jobs, v_is_plain) with ordinality j (job, is_plain, place)
    cross join lateral unnest(postq.document_faults(j.job)) with ordinality f (line, nth)
    where j.is_plain is not true;
    perform postq.refuse_document('the jobs', v_lines);
    select jsonb_agg(case
        when x.is_plain then jsonb_build_object('gates', '[]'::jsonb, 'job', jsonb_build_object(
                'id', x.id, 'queue', coalesce(nullif(x.document ->> 'queue', ''), 'default'),
                'priority', coalesce(x.document -> 'priority', '0'), 'name', coalesce(x.document -> 'name', '""'),
                'task_count', 1, 'spec', x.document - 'tasks', 'attributes', coalesce(x.document -> 'attributes', '{}'),
                'notify', x.document -> 'notify',
                'digest', encode(sha256(convert_to(x.document::text, 'UTF8')), 'hex')),
            'tasks', jsonb_build_array(jsonb_build_object(
                'n', 0, 'name', x.task, 'executor', case when x.spec ? 'handler' then 'handler' else 'shell' end,
                'handler', x.spec -> 'handler', 'has_workspace', not x.spec ? 'handler', 'spec', x.spec)))
        else postq.planned_one(x.document, x.id) end order by x.place)
    into v_items
    from (select j.place, j.document, j.is_plain, coalesce(submit_many.ids[j.place], postq.new_id()) as id,
                 t.key as task, t.value as spec
          from unnest(submit_many.jobs, v_is_plain) with ordinality j (document, is_plain, place)
          left join lateral jsonb_each(case when j.is_plain then j.document -> 'tasks' end) t on true offset 0) x;
    return query
        select (d.done ->> 0)::uuid, (d.done ->> 1)::boolean
        from jsonb_array_elements(postq.admit_many(v_items) -> 'jobs') with ordinality d (done, place)
        order by d.place;
end;
$$;
revoke all on function postq.submit_many(jsonb[], uuid[]) from public;
