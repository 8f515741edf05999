-- Lets those jobs look again that wait for jobs which have ended, looking at p_limit of them behind p_after.
-- The end of a job tells those that wait for it; this is for the ones that it could not see: a
-- transaction of a stricter isolation level sees no more than was there when it began.
-- Returns the last one looked at, or null after the last of all.
create or replace function postq.sweep_waits(p_after uuid, p_limit int) returns uuid
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_last record;
begin
    with page as materialized (
        select w.job from postq.job_wait w where w.job > p_after order by w.job limit p_limit
    ), woken as (
        insert into postq.inbox (job, kind)
        select p.job, 'after' from page p
        where exists (select from postq.job j where j.id = p.job and j.finished_at is not null)
           or exists (select from postq.task t where t.job = p.job)
              and exists (select from postq.job_after a join postq.job j on j.id = a.parent
                          where a.child = p.job and j.finished_at is not null)
        returning 1
    )
    select (select count(*) from page) as looked, (select count(*) from woken) as woken,
           (select p.job from page p order by p.job desc limit 1) as job
    into v_last;
    if v_last.woken > 0 then
        perform postq.hint('inbox');
    end if;
    return case when v_last.looked = p_limit then v_last.job end;
end;
$$;
revoke all on function postq.sweep_waits(uuid, int) from public;
