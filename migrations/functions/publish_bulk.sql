-- Publishes many jobs at once, all or none, in the order given; what is null in one takes its default
-- (see publish). Returns their ids in the same order.
create or replace function postq.publish_bulk(jobs postq.bulk_job[]) returns setof uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_job postq.bulk_job;
begin
    foreach v_job in array coalesce(jobs, '{}') loop
        return next postq.publish(v_job.task, v_job.arguments, v_job.scheduled_at, v_job.timeout, v_job.priority,
            v_job.max_retries, v_job.queue, v_job.attributes);
    end loop;
end;
$$;
revoke all on function postq.publish_bulk(postq.bulk_job[]) from public;
