-- Stores many planned jobs, all or none: those of one task that nothing else is held against by one
-- statement, the others one after the other, those with a unique key in the order of their keys, so
-- that two calls do not wait for each other. p_jobs: [{job, tasks, gates}], each as admit takes it.
-- Returns {"jobs": [[id, created]] in the order given, "ready": [[lane, seq]]}. What admit refuses, this
-- refuses, with the place in the list before the message ("jobs[3]: ...").
-- Called by the coordinator and by submit_many (which gives a document instead of gates where a job is
-- to wait as a submission).
create or replace function postq.admit_many(p_jobs jsonb) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set work_mem = '64MB'
as $$
declare
    v_place int[];
    v_id uuid[];
    v_created boolean[];
    v_jobs jsonb;
    v_tasks jsonb;
    v_rest jsonb;
    v_rest_place int[];
    v_ready jsonb := '[]';
    -- A job may wait for one that stands before it in the list.
    v_has_order boolean := exists (select from jsonb_array_elements(p_jobs) j (job)
                                   where j.job #>> '{job,after,jobs}' is not null);
    v_one record;
    v_at int;
    v_entered record;
begin
    -- As in create_job.
    perform pg_current_xact_id();
    with item as materialized (
        select j.place::int, j.job, j.job #>> '{job,id}' as id, j.job #>> '{job,queue}' as queue,
               postq.is_single(j.job -> 'job', j.job -> 'tasks') as is_single
        from jsonb_array_elements(p_jobs) with ordinality j (job, place)
    ), judged as materialized (
        select i.place, i.job, i.id, i.is_single and count(*) over (partition by i.id) = 1
               and not exists (select from postq.job j where j.id = i.id::uuid)
               and i.queue not in (select q.name from postq.queue q) as is_fast
        from item i
    )
    select array_agg(i.place order by i.place) filter (where i.is_fast),
           array_agg(i.id::uuid order by i.place) filter (where i.is_fast),
           jsonb_agg(i.job -> 'job' order by i.place) filter (where i.is_fast),
           jsonb_agg(i.job #> '{tasks,0}' order by i.place) filter (where i.is_fast),
           jsonb_agg(i.job order by i.place) filter (where i.is_fast is not true),
           array_agg(i.place order by i.place) filter (where i.is_fast is not true)
    into v_place, v_id, v_jobs, v_tasks, v_rest, v_rest_place
    from judged i;
    begin
        if v_place is not null then
            v_ready := postq.add_singles(v_jobs, v_tasks);
            v_created := array_fill(true, array[cardinality(v_place)]);
        end if;
    exception when unique_violation then
        -- One of the ids has come in between: admit judges it.
        v_place := null;
        v_id := null;
        v_rest := p_jobs;
        v_rest_place := array(select generate_series(1, jsonb_array_length(p_jobs)));
    end;
    for v_one in
        select x.place, x.job
        from rows from (jsonb_array_elements(v_rest), unnest(v_rest_place)) as x (job, place)
        order by case when not v_has_order then postq.key_scope(x.job #>> '{job,queue}', x.job #> '{job,unique}') end,
                 case when not v_has_order then x.job #>> '{job,unique,key}' end, x.place
    loop
        v_at := v_one.place - 1;
        select * into v_entered from postq.admit_one(v_one.job);
        v_place := v_place || v_one.place;
        v_id := v_id || v_entered.o_id;
        v_created := v_created || v_entered.o_created;
        v_ready := v_ready || v_entered.o_ready;
    end loop;
    return jsonb_build_object('ready', v_ready, 'jobs', (
        select coalesce(jsonb_agg(jsonb_build_array(d.id, d.created) order by d.place), '[]')
        from unnest(v_place, v_id, v_created) as d (place, id, created)));
exception when sqlstate 'PQ001' or sqlstate 'PQ003' or sqlstate 'PQ005' then
    raise exception using errcode = sqlstate, message = format('jobs[%s]: %s', v_at, sqlerrm);
end;
$$;
revoke all on function postq.admit_many(jsonb) from public;
