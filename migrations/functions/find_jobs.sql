-- The jobs whose attributes a filter holds for (see filter_path), the newest first, at most max_count;
-- with of_queue, states and ids only those; before_id goes on behind the last one of the page before.
-- A filter that the index over attributes can serve holds for many of the newest jobs, or for few, which the
-- index finds; the planner cannot know which. Any other one looks at the jobs from the newest on.
-- Raises PQ005.
create or replace function postq.find_jobs(
    filter text default null, of_queue text default null, states text[] default null, ids uuid[] default null,
    max_count int default 100, before_id uuid default null
) returns table (
    id uuid, name text, queue text, state text, reason text, priority int, attributes jsonb,
    created_at timestamptz, started_at timestamptz, finished_at timestamptz
)
language plpgsql stable security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
-- What is null is not looked at.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    c_count constant int := 100000;
    v_path jsonpath := postq.filter_path(find_jobs.filter);
    c_window constant int := 100;
    -- Of the newest jobs so many are looked at before the index is asked.
    c_looked constant int := 20000;
    v_states postq.state_of_job[];
    v_found uuid[];
begin
    perform postq.check_argument('max_count', case when coalesce(find_jobs.max_count, 0) not between 1 and c_count then
        format('is %s; it may be 1 to %s', coalesce(find_jobs.max_count::text, 'null'), c_count) end);
    begin
        v_states := find_jobs.states;
    exception when invalid_text_representation then
        perform postq.check_argument('states', format('is not understood: %s', postq.shown(sqlerrm)));
    end;
    if postq.is_indexed(v_path) and find_jobs.ids is null then
        v_found := postq.find_newest(v_path, find_jobs.of_queue, v_states, find_jobs.before_id, find_jobs.max_count,
            least(find_jobs.max_count, c_looked / c_window) * c_window);
        if cardinality(v_found) < find_jobs.max_count then
            v_found := postq.find_indexed(v_path, find_jobs.of_queue, v_states, find_jobs.before_id, find_jobs.max_count);
        end if;
    end if;
    return query
        select j.id, s.name, j.queue, j.state::text, coalesce(j.reason, postq.waits_for(j.id)), j.priority, s.attributes,
               j.created_at, j.started_at, j.finished_at
        from postq.job j join postq.job_spec s on s.job = j.id
        where (v_found is null or j.id = any (v_found))
          and (v_path is null or s.attributes @@ v_path)
          and (find_jobs.of_queue is null or j.queue = find_jobs.of_queue)
          and (v_states is null or j.state = any (v_states))
          and (find_jobs.ids is null or j.id = any (find_jobs.ids))
          and (find_jobs.before_id is null or j.id < find_jobs.before_id)
        order by j.id desc limit find_jobs.max_count;
end;
$$;
revoke all on function postq.find_jobs(text, text, text[], uuid[], int, uuid) from public;
