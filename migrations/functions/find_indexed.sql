-- The newest p_count of all jobs (of a queue, before an id) whose attributes a filter holds for, found by the
-- index over attributes: for filters that is_indexed says so of, and that hold for few. Called by find_jobs.
create or replace function postq.find_indexed(
    p_filter jsonpath, p_queue text, p_states postq.state_of_job[], p_before uuid, p_count int
) returns uuid[]
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with hit as materialized (select s.job from postq.job_spec s where s.attributes @@ p_filter)
    select array(
        select j.id from hit h join postq.job j on j.id = h.job
        where (p_queue is null or j.queue = p_queue) and (p_before is null or j.id < p_before)
          and (p_states is null or j.state = any (p_states))
        order by j.id desc limit p_count);
$$;
revoke all on function postq.find_indexed(jsonpath, text, postq.state_of_job[], uuid, int) from public;
