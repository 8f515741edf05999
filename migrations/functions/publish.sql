-- Publishes a job of one task, in anybody's transaction: the handler of that name is called with the
-- arguments, by a consumer or by a language worker. Not before scheduled_at; timeout is how long an
-- attempt may take (a consumer's lease); max_retries counts the executions in total, the first
-- included (-1: no limit). The n-th retry waits n times the backoff or, with a factor, backoff *
-- factor^(n-1), at most max_backoff. What is null takes its default.
-- An id may be minted by the caller (a UUIDv7): publishing the same under it again is the same job.
-- Where a job of the queue that has not ended holds the unique_key, that is the job, and its id is
-- returned. With notify, queued, picked and completed are notified (see tell).
-- Raises PQ001 (another job has the id) and PQ005.
create or replace function postq.publish(
    task text, arguments jsonb default null, scheduled_at timestamptz default null,
    timeout interval default '60 s', priority int default 0, max_retries int default 3,
    queue text default 'default', attributes jsonb default null, backoff interval default '3 s',
    factor double precision default null, max_backoff interval default '1 hour', id uuid default null,
    unique_key text default null, notify boolean default false
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
#variable_conflict use_variable
declare
    v_id uuid := coalesce(id, postq.new_id());
    v_priority int := coalesce(priority, 0);
    v_queue text := coalesce(queue, 'default');
    v_attempts int := coalesce(max_retries, 3);
    v_timeout interval := coalesce(timeout, '60 s');
    v_backoff_ms bigint := round(extract(epoch from coalesce(backoff, '3 s')) * 1000);
    v_max_backoff_ms bigint := round(extract(epoch from coalesce(max_backoff, '1 hour')) * 1000);
    v_run_at timestamptz := case when scheduled_at > postq.now() then scheduled_at end;
    v_spec jsonb;
    v_job jsonb;
begin
    perform postq.check_publish(task, arguments, v_timeout, v_priority, v_attempts, v_queue, attributes,
        v_backoff_ms, factor, v_max_backoff_ms);
    perform postq.check_argument('unique_key', case when unique_key = '' then 'is empty; name a key, or leave it out'
        else postq.name_fault('key', unique_key, 255) end);
    v_spec := jsonb_strip_nulls(jsonb_build_object(
        'handler', task, 'timeout', trim_scale(extract(epoch from v_timeout)) || 's',
        'retry', jsonb_build_object('max_attempts', v_attempts)))
        || case when arguments is null then '{}' else jsonb_build_object('arguments', arguments) end;
    v_job := jsonb_build_object(
        'id', v_id, 'queue', v_queue, 'priority', v_priority, 'name', task, 'task_count', 1, 'spec', '{}'::jsonb,
        'attributes', coalesce(nullif(attributes, 'null'), '{}'), 'run_at', v_run_at,
        'digest', encode(sha256(convert_to(jsonb_build_array(v_spec, v_queue, v_priority, attributes, scheduled_at,
            v_backoff_ms, factor, v_max_backoff_ms)::text, 'UTF8')), 'hex'))
        || case when unique_key is null then '{}' else
            jsonb_build_object('unique', jsonb_build_object('key', unique_key)) end
        || case when notify then '{"notify": true}' else '{}' end::jsonb;
    if not postq.create_job(v_job) then
        return postq.job_of(v_job);
    end if;
    perform postq.add_tasks(v_id, v_queue, v_priority, jsonb_build_array(jsonb_build_object(
        'n', 0, 'name', task, 'executor', 'handler', 'handler', task, 'max_attempts', v_attempts,
        'backoff_ms', v_backoff_ms, 'max_backoff_ms', v_max_backoff_ms, 'factor', coalesce(factor, 1),
        'increment_ms', case when factor is null then v_backoff_ms else 0 end, 'jitter', 0,
        'has_workspace', false, 'spec', v_spec)), '[]', v_run_at);
    return v_id;
end;
$$;
revoke all on function postq.publish(text, jsonb, timestamptz, interval, int, int, text, jsonb, interval,
    double precision, interval, uuid, text, boolean) from public;
