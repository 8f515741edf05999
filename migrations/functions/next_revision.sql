-- The revision that the verb under way gives its job. The caller holds the job's row and ends with
-- advance, which makes it the newest.
create or replace function postq.next_revision(p_job uuid) returns bigint
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select p.revision + 1 from postq.progress_of(p_job) p;
$$;
revoke all on function postq.next_revision(uuid) from public;
