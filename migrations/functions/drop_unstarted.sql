-- Ends what has not started of a job, as p_state, and asks what runs to stop. The caller holds the
-- job's row and advances it by what is returned: the tasks that ended. Waits for nobody: what somebody
-- has at hand is left, and the caller comes again (see is_dropped).
create or replace function postq.drop_unstarted(p_job uuid, p_state postq.task_state, p_reason text) returns int[]
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
begin
    select coalesce(array_agg(t.n), '{}') into v_n from (
        select t.n from postq.task t
        where t.job = p_job and t.state in ('blocked', 'scheduled', 'parked', 'ready')
        order by t.n for update skip locked) t;
    -- A claim under way holds its rows of ready and finds the tasks changed; it drops the rows.
    delete from postq.ready r where r.ctid = any (array(
        select r.ctid from postq.task t join postq.ready r on r.lane = t.lane and r.seq = t.seq
        where t.job = p_job and t.n = any (v_n) and t.state = 'ready' for update of r skip locked));
    delete from postq.scheduled s where s.ctid = any (array(
        select s.ctid from postq.task t
        join postq.scheduled s on s.run_at = t.run_at and s.job = t.job and s.n = t.n
        where t.job = p_job and t.n = any (v_n) and t.state = 'scheduled' for update of s skip locked));
    delete from postq.parked k where k.ctid = any (array(
        select k.ctid from postq.task t join postq.parked k on k.job = t.job and k.n = t.n
        where t.job = p_job and t.n = any (v_n) and t.state = 'parked' for update of k skip locked));
    delete from postq.opening o where o.job = p_job;
    update postq.task t
    set state = p_state, finished_at = postq.now(), seq = null, run_at = null,
        reason = p_reason, revision = postq.next_revision(p_job)
    where t.job = p_job and t.n = any (v_n);
    update postq.open_attempt o set cancel_requested_at = postq.now()
    where o.ctid = any (array(select o.ctid from postq.open_attempt o
                              where o.job = p_job and o.cancel_requested_at is null
                              order by o.n for update skip locked));
    if found then
        perform postq.hint('cancel');
    end if;
    return v_n;
end;
$$;
revoke all on function postq.drop_unstarted(uuid, postq.task_state, text) from public;
