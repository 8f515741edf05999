-- Makes the new job of a dead letter, whose row the caller has locked, and removes the row.
create or replace function postq.redrive_one(p_job uuid) returns uuid
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := postq.new_id();
    v_job record;
begin
    delete from postq.dead_letter d where d.job = p_job;
    select j.queue, j.priority, l.priority as task_priority, l.executor, l.handler, js.name as job_name, js.spec as job_spec, js.attributes,
           js.digest, js.traceparent, s.*
    into v_job
    from postq.job j
    join postq.job_spec js on js.job = j.id
    join postq.task_spec s on s.job = j.id and s.n = 0
    join postq.task t on t.job = j.id and t.n = 0
    join postq.lane l on l.id = t.lane
    where j.id = p_job;
    perform postq.create_job(jsonb_build_object(
        'id', v_id, 'queue', v_job.queue, 'priority', v_job.priority, 'name', v_job.job_name, 'task_count', 1,
        'spec', v_job.job_spec, 'attributes', v_job.attributes, 'digest', encode(v_job.digest, 'hex'),
        'traceparent', v_job.traceparent, 'retry_of', p_job));
    insert into postq.snapshot (job, n, content, provenance, times)
    select v_id, w.n, w.content, w.provenance, w.times from postq.snapshot w where w.job = p_job and w.n = -1;
    perform postq.add_tasks(v_id, v_job.queue, v_job.priority, jsonb_build_array(jsonb_build_object(
        'n', 0, 'name', v_job.name, 'executor', v_job.executor, 'handler', v_job.handler,
        'priority', v_job.task_priority, 'run_if', v_job.run_if,
        'max_attempts', v_job.max_attempts, 'crash_limit', v_job.crash_limit, 'at_most_once', v_job.at_most_once,
        'backoff_ms', v_job.backoff_ms, 'max_backoff_ms', v_job.max_backoff_ms, 'factor', v_job.factor,
        'increment_ms', v_job.increment_ms, 'jitter', v_job.jitter, 'delays_ms', v_job.delays_ms,
        'outcomes', v_job.retry_outcomes, 'exit_codes', v_job.retry_exit_codes,
        'concurrency', jsonb_build_object('key', v_job.concurrency_key, 'limit', v_job.concurrency_limit),
        'rate', jsonb_build_object('key', v_job.rate_key, 'limit', v_job.rate_limit, 'period_ms', v_job.rate_period_ms),
        'has_workspace', v_job.has_workspace, 'spec', v_job.spec)), '[]');
    return v_id;
end;
$$;
revoke all on function postq.redrive_one(uuid) from public;
