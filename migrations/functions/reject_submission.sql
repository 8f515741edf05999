-- Ends a job whose stored document cannot be planned (any more), with the reason. Called by the
-- coordinator that took the submission.
create or replace function postq.reject_submission(p_submission bigint, p_reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_job uuid;
begin
    delete from postq.submission s where s.seq = p_submission returning s.job into v_job;
    if v_job is null then
        return false;
    end if;
    update postq.job j
    set state = 'failed', reason = p_reason, finished_at = postq.now()
    where j.id = v_job and j.finished_at is null;
    insert into postq.job_progress (job, revision, open, failed, cancelled)
    values (v_job, postq.next_revision(v_job), 0, 0, 0);
    perform postq.job_ended(array[v_job]);
    return true;
end;
$$;
revoke all on function postq.reject_submission(bigint, text) from public;
