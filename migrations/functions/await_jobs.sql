-- Notes which jobs a job waits for. Raises PQ003 where one of them is not there, and PQ005 where it is
-- the job itself. What has ended already is counted with the rest, by apply_after.
-- p_after: {jobs, run_if}. Called by create_job.
create or replace function postq.await_jobs(p_job uuid, p_after jsonb, p_run_at timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_jobs uuid[];
    v_unknown uuid;
begin
    select array_agg(distinct j.id::uuid) into v_jobs from jsonb_array_elements_text(p_after -> 'jobs') j (id);
    if p_job = any (v_jobs) then
        perform postq.check_argument('after.jobs', 'names the job itself; name others');
    end if;
    select u.id into v_unknown from unnest(v_jobs) u (id)
    where not exists (select from postq.job j where j.id = u.id) limit 1;
    if found then
        raise exception using errcode = 'PQ003',
            message = format('there is no job %s, which this one is to wait for', v_unknown),
            hint = 'Submit it first; it may be in the same transaction.';
    end if;
    insert into postq.job_wait (job, run_if, run_at) values (p_job, (p_after ->> 'run_if')::postq.run_if, p_run_at);
    insert into postq.job_after (parent, child) select u.id, p_job from unnest(v_jobs) u (id);
end;
$$;
revoke all on function postq.await_jobs(uuid, jsonb, timestamptz) from public;
