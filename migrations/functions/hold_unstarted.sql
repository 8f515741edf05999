-- Locks all rows of a job of which nothing has started; false where not all can be had at once.
-- Called by end_unstarted.
create or replace function postq.hold_unstarted(p_job uuid) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_waiting int;
    v_held int;
begin
    select count(*) into v_waiting from postq.task t
    where t.job = p_job and t.state in ('ready', 'scheduled');
    select (select count(*) from (
                select 1 from postq.task t join postq.ready r on r.lane = t.lane and r.seq = t.seq
                where t.job = p_job and t.state = 'ready' for update of r skip locked) r)
         + (select count(*) from (
                select 1 from postq.task t
                join postq.scheduled s on s.run_at = t.run_at and s.job = t.job and s.n = t.n
                where t.job = p_job and t.state = 'scheduled' for update of s skip locked) s)
    into v_held;
    if v_held <> v_waiting then
        return false;
    end if;
    select count(*) into v_held from (
        select 1 from postq.task t where t.job = p_job and t.finished_at is null and t.started_at is null
        order by t.n for update skip locked) t;
    if v_held <> (select count(*) from postq.task t where t.job = p_job) then
        return false;
    end if;
    -- A job without tasks waits to be planned.
    perform 1 from postq.submission s where s.job = p_job for update skip locked;
    if not found and v_held = 0 then
        return false;
    end if;
    perform 1 from postq.job j
    where j.id = p_job and j.state in ('scheduled', 'queued') for update skip locked;
    return found;
end;
$$;
revoke all on function postq.hold_unstarted(uuid) from public;
