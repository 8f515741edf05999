-- Notes which files stay of a job that has ended, beyond the job itself; the first word counts. Either
-- the roots of their trees, or the reason why there are none. Called by coordinators before they drop what
-- the job's tasks left.
create or replace function postq.keep_artifacts(
    p_job uuid, p_content bytea, p_times bytea, p_files bigint, p_bytes bigint, p_reason text
) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    insert into postq.artifact (job, name, queue, state, finished_at, kept_at, content, times, files, size_bytes, reason)
    select j.id, s.name, j.queue, j.state, j.finished_at, postq.now(), p_content, p_times, p_files, p_bytes, p_reason
    from postq.job j join postq.job_spec s on s.job = j.id
    where j.id = p_job and j.finished_at is not null
    on conflict (job) do nothing;
$$;
revoke all on function postq.keep_artifacts(uuid, bytea, bytea, bigint, bigint, text) from public;
