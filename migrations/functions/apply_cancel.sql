-- Ends at once what has not started of a job, and marks what runs, for its agents to be told. A
-- running task keeps its state until its attempt ends. Waits for nobody: where somebody has a part of
-- it at hand, o_is_done is false, and the caller comes again. o_ended: the job where it ended hereby.
create or replace function postq.apply_cancel(
    p_job uuid, p_reason text, out o_is_done boolean, out o_ended uuid[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_n int[];
    v_reason text := coalesce(p_reason, 'cancelled on request');
begin
    o_ended := '{}';
    o_is_done := not exists (select from postq.job j where j.id = p_job and j.finished_at is null);
    if o_is_done then
        return;
    end if;
    perform 1 from postq.job j where j.id = p_job and j.finished_at is null for update skip locked;
    if not found then
        return;
    end if;
    update postq.job j
    set cancel_requested_at = coalesce(j.cancel_requested_at, postq.now()),
        reason = coalesce(j.reason, v_reason)
    where j.id = p_job;

    -- Not planned yet: there are no tasks, and there will be none.
    delete from postq.submission s where s.job = p_job;
    if found then
        update postq.job j set state = 'cancelled', finished_at = postq.now() where j.id = p_job;
        insert into postq.job_progress (job, revision, open, failed, cancelled)
        values (p_job, postq.next_revision(p_job), 0, 0, 0);
        o_is_done := true;
        o_ended := array[p_job];
        perform postq.job_ended(o_ended);
        return;
    end if;

    v_n := postq.drop_unstarted(p_job, 'cancelled', v_reason);
    o_ended := postq.advance(array[p_job], array_fill(p_job, array[cardinality(v_n)]), v_n);
    o_is_done := postq.is_dropped(p_job);
end;
$$;
revoke all on function postq.apply_cancel(uuid, text) from public;
