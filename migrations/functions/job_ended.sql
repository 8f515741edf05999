-- What follows from the end of jobs, for whoever has just ended them and holds their rows: they leave the
-- bound of their queue, those that wait for them are to look, after the commit, and those who asked for it
-- are told, webhooks by a row that coordinators send. Every verb that sets a job's finished_at calls this
-- afterwards.
create or replace function postq.job_ended(p_job uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_told uuid[];
    v_delivered uuid[];
begin
    if p_job = '{}' then
        return;
    end if;
    if exists (select from postq.bound) then
        insert into postq.departure (queue, job)
        select j.queue, j.id from postq.job j join postq.bound b on b.queue = j.queue where j.id = any (p_job)
        on conflict do nothing;
    end if;
    if exists (select from postq.job_after) then
        insert into postq.inbox (job, kind)
        select distinct a.child, 'after' from postq.job_after a where a.parent = any (p_job);
        if found then
            perform postq.hint('inbox');
        end if;
    end if;
    -- Most ask for neither: then this is all.
    select array_agg(s.job) filter (where s.notify), array_agg(s.job) filter (where s.webhook is not null)
    into v_told, v_delivered
    from postq.job_spec s where s.job = any (p_job) and (s.notify or s.webhook is not null);
    if v_told is not null then
        perform postq.tell('postq_completed', v_told);
    end if;
    if v_delivered is not null then
        perform postq.deliver(v_delivered);
    end if;
end;
$$;
revoke all on function postq.job_ended(uuid[]) from public;
