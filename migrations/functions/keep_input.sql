-- Keeps the snapshot that a job's first tasks start from, as the one of task -1. Called before the
-- job is admitted; twice is as good as once.
create or replace function postq.keep_input(
    p_job uuid, p_content bytea, p_provenance bytea, p_times bytea
) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    insert into postq.snapshot (job, n, content, provenance, times)
    values (p_job, -1, p_content, p_provenance, p_times)
    on conflict (job, n) do nothing;
$$;
revoke all on function postq.keep_input(uuid, bytea, bytea, bytea) from public;
