-- Publishes many jobs at once, all or none, in the order given; what is null in one takes its default
-- (see publish). Returns their ids in the same order. Jobs of undeclared queues are stored by one
-- statement.
create or replace function postq.publish_bulk(jobs postq.bulk_job[]) returns setof uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set work_mem = '64MB'
as $$
declare
    v_now timestamptz := postq.now();
    v_job postq.bulk_job;
    v_id uuid[];
    v_jobs jsonb;
    v_tasks jsonb;
begin
    if jobs is null or jobs = '{}' then
        return;
    end if;
    perform postq.check_bulk(jobs);
    -- As in create_job.
    perform pg_current_xact_id();
    if exists (select from unnest(jobs) j join postq.queue q on q.name = coalesce(nullif(j.queue, ''), 'default')) then
        foreach v_job in array jobs loop
            return next postq.publish(v_job.task, v_job.arguments, v_job.scheduled_at, v_job.timeout, v_job.priority,
                v_job.max_retries, v_job.queue, v_job.attributes);
        end loop;
        return;
    end if;
    -- As publish puts them.
    with item as materialized (
        select postq.new_id() as id, j.ord, j.task, j.scheduled_at, coalesce(j.priority, 0) as priority,
               coalesce(j.max_retries, 3) as attempts, coalesce(nullif(j.queue, ''), 'default') as queue, j.attributes,
               jsonb_build_object('handler', j.task,
                   'timeout', trim_scale(extract(epoch from coalesce(j.timeout, '60 s'))) || 's',
                   'retry', jsonb_build_object('max_attempts', coalesce(j.max_retries, 3)))
               || case when j.arguments is null then '{}' else jsonb_build_object('arguments', j.arguments) end as spec
        from unnest(jobs) with ordinality as j (task, arguments, scheduled_at, timeout, priority, max_retries, queue,
                                                attributes, ord)
    )
    select array_agg(i.id), jsonb_agg(jsonb_build_object(
               'id', i.id, 'queue', i.queue, 'priority', i.priority, 'name', i.task, 'spec', '{}'::jsonb,
               'attributes', coalesce(nullif(i.attributes, 'null'), '{}'),
               'run_at', case when i.scheduled_at > v_now then i.scheduled_at end,
               'digest', encode(sha256(convert_to(jsonb_build_array(i.spec, i.queue, i.priority, i.attributes,
                   i.scheduled_at, 3000, null::float8, 3600000)::text, 'UTF8')), 'hex'))),
           jsonb_agg(jsonb_build_object(
               'name', i.task, 'executor', 'handler', 'handler', i.task, 'max_attempts', i.attempts, 'backoff_ms', 3000,
               'max_backoff_ms', 3600000, 'factor', 1, 'increment_ms', 3000, 'jitter', 0, 'has_workspace', false,
               'spec', i.spec))
    into v_id, v_jobs, v_tasks
    from (select * from item order by ord) i;
    perform postq.add_singles(v_jobs, v_tasks);
    return query select * from unnest(v_id);
end;
$$;
revoke all on function postq.publish_bulk(postq.bulk_job[]) from public;
