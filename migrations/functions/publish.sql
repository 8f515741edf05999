-- Publishes a job of one task, in anybody's transaction: the handler of that name is called with the
-- arguments, by a consumer or by a language worker. Not before scheduled_at; timeout is how long an
-- attempt may take (a consumer's lease); max_retries counts the executions in total, the first
-- included (-1: no limit). The n-th retry waits n times the backoff or, with a factor, backoff *
-- factor^(n-1), at most max_backoff. What is null takes its default: the queue's where it has one, else
-- 60 s, 3 executions, 3 s, at most an hour.
-- Of a queue that holds as many jobs as it may, waits up to `wait` for room (PQ010). With require_queue
-- the queue must have been declared (PQ011).
-- An id may be minted by the caller (a UUIDv7): publishing the same under it again is the same job.
-- Where a job of the queue that has not ended holds the unique_key, that is the job, and its id is
-- returned. With notify, queued, picked and completed are notified (see tell).
-- Raises PQ001 (another job has the id), PQ005, PQ010 and PQ011.
create or replace function postq.publish(
    task text, arguments jsonb default null, scheduled_at timestamptz default null,
    timeout interval default null, priority int default 0, max_retries int default null,
    queue text default 'default', attributes jsonb default null, backoff interval default null,
    factor double precision default null, max_backoff interval default null, id uuid default null,
    unique_key text default null, notify boolean default false, wait interval default null,
    require_queue boolean default false
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
#variable_conflict use_variable
declare
    v_id uuid := coalesce(id, postq.new_id());
    v_priority int := coalesce(priority, 0);
    v_queue text := coalesce(nullif(queue, ''), 'default');
    v_attempts int := coalesce(max_retries, 3);
    v_timeout interval := coalesce(timeout, '60 s');
    -- Beyond what is allowed they need not be exact, and may be endless.
    v_backoff_ms bigint := round(extract(epoch from greatest(least(coalesce(backoff, '3 s'), '3661 days'), '-1 s')) * 1000);
    v_max_backoff_ms bigint := round(extract(epoch from greatest(least(coalesce(max_backoff, '1 hour'), '3661 days'), '-1 s')) * 1000);
    v_run_at timestamptz := case when scheduled_at > postq.now() then scheduled_at end;
    v_spec jsonb;
    v_job jsonb;
    v_policy jsonb;
    v_default postq.queue;
begin
    select * into v_default from postq.queue q where q.name = v_queue;
    perform postq.check_publish(task, arguments, v_timeout, v_priority, v_attempts, v_queue, attributes,
        v_backoff_ms, factor, v_max_backoff_ms);
    perform postq.check_argument('scheduled_at', postq.time_fault(scheduled_at));
    perform postq.check_argument('unique_key', case when unique_key = '' then 'is empty; name a key, or leave it out'
        else postq.name_fault('key', unique_key, 255) end);
    -- What the queue says, add_tasks takes from there.
    v_policy := case when v_default.retry is not null and num_nonnulls(max_retries, backoff, factor, max_backoff) = 0
        then '{}'::jsonb
        else jsonb_build_object('max_attempts', v_attempts, 'backoff_ms', v_backoff_ms,
            'max_backoff_ms', v_max_backoff_ms, 'factor', coalesce(factor, 1),
            'increment_ms', case when factor is null then v_backoff_ms else 0 end, 'jitter', 0) end;
    perform postq.check_argument('wait', case when wait < '0' or wait > '1 hour' then
        format('is %s; it may be 0 to 1 hour', wait) end);
    v_spec := jsonb_strip_nulls(jsonb_build_object(
        'handler', task,
        'timeout', case when timeout is not null or v_default.timeout_ms is null then
            trim_scale(extract(epoch from v_timeout)) || 's' end,
        'retry', case when v_policy <> '{}' then jsonb_build_object('max_attempts', v_attempts) end))
        || case when arguments is null then '{}' else jsonb_build_object('arguments', arguments) end;
    v_job := jsonb_build_object(
        'id', v_id, 'queue', v_queue, 'priority', v_priority, 'name', task, 'task_count', 1, 'spec', '{}'::jsonb,
        'attributes', coalesce(nullif(attributes, 'null'), '{}'), 'run_at', v_run_at,
        'digest', encode(sha256(convert_to(jsonb_build_array(v_spec, v_queue, v_priority, attributes, scheduled_at,
            v_backoff_ms, factor, v_max_backoff_ms)::text, 'UTF8')), 'hex'))
        || case when unique_key is null then '{}' else
            jsonb_build_object('unique', jsonb_build_object('key', unique_key)) end
        || case when notify then '{"notify": true}' else '{}' end::jsonb
        || jsonb_strip_nulls(jsonb_build_object('require_queue', require_queue,
            'wait_ms', round(extract(epoch from wait) * 1000)));
    if not postq.create_job(v_job) then
        return postq.job_of(v_job);
    end if;
    perform postq.add_tasks(v_id, v_queue, v_priority, jsonb_build_array(jsonb_build_object(
        'n', 0, 'name', task, 'executor', 'handler', 'handler', task,
        'has_workspace', false, 'spec', v_spec) || v_policy), '[]', v_run_at);
    return v_id;
end;
$$;
revoke all on function postq.publish(text, jsonb, timestamptz, interval, int, int, text, jsonb, interval,
    double precision, interval, uuid, text, boolean, interval, boolean) from public;
