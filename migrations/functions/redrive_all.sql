-- Tries up to max_count dead letters of a queue once more, the oldest first (see redrive); those that are
-- being consumed, and those of jobs that have not ended, stay. Returns the new jobs.
create or replace function postq.redrive_all(queue text, max_count int default 1000) returns setof uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_job uuid;
begin
    perform postq.check_argument('max_count', case when coalesce(max_count, 0) < 1 then
        format('is %s; write 1 or more', coalesce(max_count::text, 'null')) end);
    for v_job in
        select d.job from postq.dead_letter d join postq.job j on j.id = d.job
        where d.queue = redrive_all.queue and j.finished_at is not null
          and (d.lease_until is null or d.attempt is null or d.lease_until <= postq.now())
        order by d.died_at, d.job limit max_count for update of d skip locked
    loop
        -- The new job of one dead letter is that of all of its job.
        continue when not exists (select from postq.dead_letter d where d.job = v_job);
        return next postq.redrive_one(v_job);
    end loop;
end;
$$;
revoke all on function postq.redrive_all(text, int) from public;
