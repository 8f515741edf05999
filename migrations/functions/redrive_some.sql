-- Tries dead letters once more (see redrive): those of the jobs p_jobs, or else of a queue, the oldest
-- first and at most p_max. Those that are being consumed, and those of jobs that have not ended, stay.
-- Called by redrive_all and the coordinator. Returns each job and its new one.
create or replace function postq.redrive_some(p_queue text, p_jobs uuid[], p_max int)
returns table (job uuid, new_job uuid)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_jobs uuid[];
begin
    if p_jobs is null then
        v_jobs := array(
            select d.job from postq.dead_letter d join postq.job j on j.id = d.job
            where d.queue = p_queue and j.finished_at is not null
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
        new_job := postq.redrive_one(job);
        return next;
    end loop;
end;
$$;
revoke all on function postq.redrive_some(text, uuid[], int) from public;
