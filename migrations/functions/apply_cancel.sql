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
    v_asked bigint;
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
        return;
    end if;

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
    delete from postq.opening o where o.job = p_job;
    update postq.task t
    set state = 'cancelled', finished_at = postq.now(), seq = null, run_at = null,
        reason = v_reason, revision = postq.next_revision(p_job)
    where t.job = p_job and t.n = any (v_n);
    update postq.open_attempt o set cancel_requested_at = postq.now()
    where o.ctid = any (array(select o.ctid from postq.open_attempt o
                              where o.job = p_job and o.cancel_requested_at is null
                              order by o.n for update skip locked));
    if found then
        perform postq.hint('cancel');
    end if;
    o_ended := postq.advance(array[p_job], array_fill(p_job, array[cardinality(v_n)]), v_n);
    o_is_done := not exists (select from postq.task t where t.job = p_job
                             and t.state in ('blocked', 'scheduled', 'parked', 'ready'))
        and not exists (select from postq.open_attempt o where o.job = p_job and o.cancel_requested_at is null);
end;
$$;
revoke all on function postq.apply_cancel(uuid, text) from public;
