-- Locks those of the jobs that have ended and that nothing needs any more (a dead letter does, a
-- webhook that is still to be told, a job that has yet to look how this one ended, and a coordinator that
-- has not kept its artifacts), and what is left of their webhooks, as many
-- as have p_tasks tasks together, and one more. What somebody has at hand is left out. o_last: the last
-- one looked at, null where that was all.
create or replace function postq.hold_ended(p_job uuid[], p_tasks bigint, out o_job uuid[], out o_last uuid)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_job uuid;
    v_tasks bigint := 0;
begin
    o_job := '{}';
    foreach v_job in array p_job loop
        if v_tasks >= p_tasks then
            return;
        end if;
        o_last := v_job;
        continue when exists (select from postq.dead_letter d where d.job = v_job)
            or exists (select from postq.delivery d where d.job = v_job and d.next_at is not null)
            or exists (select from postq.job_after a where a.parent = v_job)
            or exists (select from postq.job_spec s where s.job = v_job and coalesce(s.spec -> 'artifacts', '[]') <> '[]')
               and exists (select from postq.snapshot w where w.job = v_job and not w.is_trimmed);
        perform 1 from postq.job j where j.id = v_job and j.finished_at is not null for update skip locked;
        continue when not found;
        -- Somebody may be about to have one sent again.
        perform 1 from postq.delivery d where d.job = v_job and d.next_at is null for update skip locked;
        continue when not found and exists (select from postq.delivery d where d.job = v_job);
        o_job := o_job || v_job;
        v_tasks := v_tasks + coalesce((select s.task_count from postq.job_spec s where s.job = v_job), 1);
    end loop;
    o_last := null;
end;
$$;
revoke all on function postq.hold_ended(uuid[], bigint) from public;
