-- Whether an execution of a task must not overlap another: its agent kills it once it has heard no
-- coordinator for 5 s, and it is taken for lost later than others (see orphans).
create or replace function postq.is_exclusive(p_job uuid, p_n int) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select s.at_most_once or s.concurrency_key is not null
    from postq.task_spec s where s.job = p_job and s.n = p_n;
$$;
revoke all on function postq.is_exclusive(uuid, int) from public;
