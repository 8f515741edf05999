-- Forgets jobs that ended longer ago than older, the ones with the lowest ids first, behind after
-- (the cursor of the caller): at most max_count of them, and no more once their tasks are as many. Those
-- that still have a dead letter stay until that is gone, and those with files to be kept beyond them until
-- a coordinator has done so. For the owner of the schema, and for
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
    v_last uuid := coalesce(purge_finished.after, '00000000-0000-0000-0000-000000000000');
    v_looked int := 0;
    v_tasks bigint := 0;
    v_jobs uuid[] := '{}';
    v_one record;
begin
    perform postq.check_argument('older', case when coalesce(purge_finished.older, '-1 s') < '0 s' then 'is below zero' end);
    perform postq.check_argument('max_count', case when coalesce(purge_finished.max_count, 0) < 1 then 'is below one' end);
    for v_one in
        select j.id, j.finished_at, s.task_count,
               coalesce(s.spec -> 'artifacts', '[]') <> '[]' as has_artifacts
        from postq.job j join postq.job_spec s on s.job = j.id
        where j.id > v_last order by j.id limit purge_finished.max_count
    loop
        v_looked := v_looked + 1;
        v_last := v_one.id;
        continue when v_one.finished_at is null or v_one.finished_at >= v_until
            or exists (select from postq.dead_letter d where d.job = v_one.id)
            or v_one.has_artifacts and exists (select from postq.snapshot w where w.job = v_one.id and not w.is_trimmed);
        perform 1 from postq.job j where j.id = v_one.id for update skip locked;
        continue when not found;
        v_jobs := v_jobs || v_one.id;
        v_tasks := v_tasks + v_one.task_count;
        exit when v_tasks >= purge_finished.max_count;
    end loop;
    delete from postq.log_chunk c using postq.attempt a where a.job = any (v_jobs) and c.attempt = a.id;
    delete from postq.attempt a where a.job = any (v_jobs);
    delete from postq.snapshot s where s.job = any (v_jobs);
    delete from postq.gate_parent p where p.job = any (v_jobs);
    delete from postq.gate g where g.job = any (v_jobs);
    delete from postq.job_after a where a.child = any (v_jobs);
    delete from postq.job_wait w where w.job = any (v_jobs);
    delete from postq.deadline d where d.job = any (v_jobs);
    delete from postq.job_progress p where p.job = any (v_jobs);
    delete from postq.task_spec s where s.job = any (v_jobs);
    delete from postq.task t where t.job = any (v_jobs);
    delete from postq.job_spec s where s.job = any (v_jobs);
    delete from postq.job j where j.id = any (v_jobs);
    return jsonb_build_object('purged', cardinality(v_jobs),
        'last', case when v_looked = purge_finished.max_count or v_tasks >= purge_finished.max_count then v_last end);
end;
$$;
revoke all on function postq.purge_finished(interval, int, uuid) from public;
