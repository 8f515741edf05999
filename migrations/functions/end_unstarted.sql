-- Cancels a job, in anybody's transaction, if nothing of it has started; else returns false and
-- leaves it as it is. Every row is locked in the order of those who would wait for the next (what is
-- queued, the tasks, the job), so that nobody ever waits for this transaction. What somebody has at
-- hand is waited for a little: it may be a moment of a coordinator's, or a start.
create or replace function postq.end_unstarted(p_job uuid, p_reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_tries constant int := 20;
    c_pause constant double precision := 0.005;
begin
    for v_try in 1 .. c_tries loop
        if not exists (select from postq.job j where j.id = p_job and j.state in ('scheduled', 'queued'))
           or exists (select from postq.task t where t.job = p_job and t.started_at is not null) then
            return false;
        end if;
        begin
            if postq.hold_unstarted(p_job)
               and (select c.o_ended = array[p_job] from postq.apply_cancel(p_job, p_reason) c) then
                return true;
            end if;
            -- Gives back the locks.
            raise exception using errcode = 'HELD0';
        exception when sqlstate 'HELD0' then
        end;
        perform pg_sleep(c_pause);
    end loop;
    return false;
end;
$$;
revoke all on function postq.end_unstarted(uuid, text) from public;
