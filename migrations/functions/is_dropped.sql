-- Whether drop_unstarted has nothing left to do for a job.
create or replace function postq.is_dropped(p_job uuid) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select not exists (select from postq.task t where t.job = p_job
                       and t.state in ('blocked', 'scheduled', 'parked', 'ready'))
        and not exists (select from postq.open_attempt o where o.job = p_job and o.cancel_requested_at is null);
$$;
revoke all on function postq.is_dropped(uuid) from public;
