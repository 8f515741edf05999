-- Ends a job of which nothing has started as failed, with the reason: all its tasks are skipped. The
-- caller holds the job's row.
create or replace function postq.skip_job(p_job uuid, p_reason text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    update postq.task t
    set state = 'skipped', finished_at = postq.now(), reason = p_reason, revision = postq.next_revision(p_job)
    where t.job = p_job and t.state = 'blocked';
    insert into postq.job_progress (job, revision, open, failed, cancelled)
    values (p_job, postq.next_revision(p_job), 0, 0, 0);
    update postq.job j set state = 'failed', reason = p_reason, finished_at = postq.now() where j.id = p_job;
    perform postq.job_ended(array[p_job]);
end;
$$;
revoke all on function postq.skip_job(uuid, text) from public;
