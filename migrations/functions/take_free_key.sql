-- Takes for a task whose time has come, which the caller holds and is about to start, the slots that it
-- wants, where they are free and nobody stands in line for them. Called by take_scheduled.
create or replace function postq.take_free_key(p_job uuid, p_n int) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform 1 from postq.task_spec s
    where s.job = p_job and s.n = p_n and exists (
        select from postq.parked k where k.pool = any (array['key:' || s.concurrency_key, 'rate:' || s.rate_key]));
    return not found and (select x.o_is_ready from postq.take_keys(p_job, p_n, true) x);
end;
$$;
revoke all on function postq.take_free_key(uuid, int) from public;
