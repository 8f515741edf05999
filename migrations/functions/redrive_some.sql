-- Tries dead letters once more (see redrive): those of the jobs p_jobs, or else of a queue, of these only
-- those whose job's attributes p_filter holds for, the oldest first and at most p_max. With p_rate so many
-- jobs begin per second. Those that are being consumed, and those of jobs that have not ended, stay.
-- Called by redrive_all and the coordinator. Returns each job and its new one. Raises PQ005.
create or replace function postq.redrive_some(
    p_queue text, p_jobs uuid[], p_max int, p_filter text default null, p_rate double precision default null
) returns table (job uuid, new_job uuid)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_path jsonpath := postq.filter_path(p_filter);
    v_jobs uuid[];
    v_count int := 0;
begin
    perform postq.check_rate(p_rate, p_max, 2147483647);
    if p_jobs is null then
        v_jobs := array(
            select d.job from postq.dead_letter d join postq.job j on j.id = d.job
            where d.queue = p_queue and j.finished_at is not null
              and (v_path is null or exists (
                  select from postq.job_spec s where s.job = d.job and s.attributes @@ v_path))
              and (d.attempt is null or d.lease_until <= postq.now())
            order by d.died_at, d.job limit p_max for update of d skip locked);
    else
        v_jobs := array(
            select d.job from postq.dead_letter d join postq.job j on j.id = d.job
            where d.job = any (p_jobs) and j.finished_at is not null
              and (d.attempt is null or d.lease_until <= postq.now())
            order by d.died_at, d.job for update of d skip locked);
    end if;
    foreach job in array v_jobs loop
        -- The new job of one dead letter is that of all of its job.
        continue when not exists (select from postq.dead_letter d where d.job = redrive_some.job);
        new_job := postq.redrive_one(job, postq.start_of_nth(v_count, p_rate));
        v_count := v_count + 1;
        return next;
    end loop;
end;
$$;
revoke all on function postq.redrive_some(text, uuid[], int, text, double precision) from public;
