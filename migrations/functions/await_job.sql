-- Locks what has not ended of a job, waiting a little for whoever has it at hand. Returns false where
-- that was not long enough: then it is a user's transaction.
create or replace function postq.await_job(p_job uuid) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set lock_timeout = '50ms'
as $$
begin
    perform 1 from postq.job j where j.id = p_job for update;
    perform 1 from postq.task t where t.job = p_job and t.finished_at is null order by t.n for update;
    perform 1 from postq.open_attempt o where o.job = p_job order by o.n for update;
    return true;
exception when lock_not_available then
    return false;
end;
$$;
revoke all on function postq.await_job(uuid) from public;
