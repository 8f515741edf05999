-- Of the newest p_window jobs (of a queue, before an id) up to p_count whose attributes a filter holds for.
-- Called by find_jobs.
create or replace function postq.find_newest(
    p_filter jsonpath, p_queue text, p_states postq.state_of_job[], p_before uuid, p_count int, p_window int
) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    -- Planned with its values: an absent queue and a small one want different indexes.
    return array(
        select j.id
        from (select j.id, j.state from postq.job j
              where (p_queue is null or j.queue = p_queue) and (p_before is null or j.id < p_before)
              order by j.id desc limit p_window) j
        join postq.job_spec s on s.job = j.id
        where s.attributes @@ p_filter and (p_states is null or j.state = any (p_states))
        order by j.id desc limit p_count);
end;
$$;
revoke all on function postq.find_newest(jsonpath, text, postq.state_of_job[], uuid, int, int) from public;
