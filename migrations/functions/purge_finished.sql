-- Forgets jobs that ended longer ago than older, the ones with the lowest ids first, behind after
-- (the cursor of the caller): looks at max_count of them, and forgets no more once their tasks are as
-- many. Those that something still needs stay (see hold_ended), and jobs of queues that say
-- themselves how long theirs stay are left to purge_queue. For the owner of the schema, and for
-- coordinators (--retain-days). Locks nothing but jobs that have ended.
-- Returns {"purged": count, "last": the last id looked at, or null where there are no more}.
create or replace function postq.purge_finished(
    older interval, max_count int default 1000, after uuid default null
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_until timestamptz := postq.now() - purge_finished.older;
    v_job uuid[];
    v_last uuid;
    v_held record;
begin
    perform postq.check_argument('older', case when coalesce(purge_finished.older, '-1 s') < '0 s' then 'is below zero' end);
    perform postq.check_argument('max_count', case when coalesce(purge_finished.max_count, 0) < 1 then 'is below one' end);
    select array_agg(p.id order by p.id) filter (where p.finished_at < v_until
               and not exists (select from postq.queue q where q.name = p.queue and q.retain_ms is not null)),
           case when count(*) = purge_finished.max_count then (array_agg(p.id order by p.id desc))[1] end
    into v_job, v_last
    from (select j.id, j.queue, j.finished_at from postq.job j
          where j.id > coalesce(purge_finished.after, '00000000-0000-0000-0000-000000000000')
          order by j.id limit purge_finished.max_count) p;
    select * into v_held from postq.hold_ended(coalesce(v_job, '{}'), purge_finished.max_count);
    perform postq.forget_jobs(v_held.o_job);
    return jsonb_build_object('purged', cardinality(v_held.o_job), 'last', coalesce(v_held.o_last, v_last));
end;
$$;
revoke all on function postq.purge_finished(interval, int, uuid) from public;
