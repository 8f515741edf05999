-- What happens to a job at one of its deadlines: 'expire' fails one that has not started, and its first
-- tasks are dead letters, for they have waited in vain; 'time_out' fails one that has not ended, and
-- what runs of it is asked to stop. Waits for nobody: where somebody has a part of the job at hand,
-- o_is_done is false, and the caller comes again.
create or replace function postq.apply_deadline(
    p_job uuid, p_kind text, out o_is_done boolean, out o_ended uuid[]
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
    v_job record;
    v_n int[];
    v_why text := case p_kind when 'expire' then 'expired' else 'timed out' end;
begin
    o_ended := '{}';
    o_is_done := not exists (select from postq.job j where j.id = p_job and j.finished_at is null);
    if o_is_done then
        return;
    end if;
    select j.* into v_job from postq.job j where j.id = p_job and j.finished_at is null for update skip locked;
    if not found then
        return;
    end if;
    -- A cancel that is under way goes on. A consumer's first start of a larger job is told later.
    o_is_done := v_job.cancel_requested_at is not null and v_job.overdue is null
        or p_kind = 'expire' and v_job.overdue is null and (v_job.started_at is not null
            or exists (select from postq.task t where t.job = p_job and t.started_at is not null));
    if o_is_done then
        return;
    end if;
    if p_kind = 'expire' and v_job.overdue is null and (
        -- Somebody may just be taking one of its tasks.
        select count(*) from postq.task t where t.job = p_job and t.gate is null) <> (
        select count(*) from (select from postq.task t where t.job = p_job and t.gate is null
                              for update skip locked) t)
    then
        return;
    end if;
    update postq.job j set overdue = coalesce(j.overdue, v_why) where j.id = p_job;
    -- Not planned yet: there are no tasks, and there will be none.
    delete from postq.submission s where s.job = p_job;
    if found then
        update postq.job j set state = 'failed', reason = v_why, finished_at = postq.now() where j.id = p_job;
        insert into postq.job_progress (job, revision, open, failed, cancelled)
        values (p_job, postq.next_revision(p_job), 0, 0, 0);
        o_is_done := true;
        o_ended := array[p_job];
        perform postq.job_ended(o_ended);
        return;
    end if;
    v_n := postq.drop_unstarted(p_job, 'skipped', 'the job ' || case p_kind when 'expire' then 'has expired' else v_why end);
    if p_kind = 'expire' then
        perform postq.bury_expired(p_job, v_n);
    end if;
    o_ended := postq.advance(array[p_job], array_fill(p_job, array[cardinality(v_n)]), v_n);
    o_is_done := postq.is_dropped(p_job);
end;
$$;
revoke all on function postq.apply_deadline(uuid, text) from public;
