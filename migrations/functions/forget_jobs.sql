-- Forgets jobs that have ended, with all that belongs to them. The caller holds their rows.
create or replace function postq.forget_jobs(p_job uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_attempt bigint[];
begin
    -- First, so that whoever moves their output right now is waited for, and what it has noted is found.
    with gone as (delete from postq.attempt a where a.job = any (p_job) returning a.id)
    select array_agg(g.id) into v_attempt from gone g;
    delete from postq.log_chunk c where c.attempt = any (v_attempt);
    delete from postq.log_page p where p.attempt = any (v_attempt);
    delete from postq.long_log l where l.attempt = any (v_attempt);
    delete from postq.snapshot s where s.job = any (p_job);
    delete from postq.gate_parent p where p.job = any (p_job);
    delete from postq.gate g where g.job = any (p_job);
    delete from postq.job_after a where a.child = any (p_job);
    delete from postq.job_wait w where w.job = any (p_job);
    delete from postq.delivery d where d.job = any (p_job);
    delete from postq.deadline d where d.job = any (p_job);
    delete from postq.job_progress p where p.job = any (p_job);
    delete from postq.task_spec s where s.job = any (p_job);
    delete from postq.task t where t.job = any (p_job);
    delete from postq.job_spec s where s.job = any (p_job);
    delete from postq.job j where j.id = any (p_job);
end;
$$;
revoke all on function postq.forget_jobs(uuid[]) from public;
