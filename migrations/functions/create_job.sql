-- Stores a job without its tasks. Returns false where the job was there already with the same
-- document, or another one holds its unique key: job_of tells which. Another document under the same
-- id is refused (SQLSTATE PQ001), and so are unknown jobs to wait for (PQ003). Called by everything
-- that makes jobs. p_job: {id, queue, priority, name, task_count, spec, attributes, digest (hex),
-- traceparent, run_at?, delay_ms?, expires_after_ms?, timeout_ms?, notify?, retry_of?, unique? (see
-- take_key), after? (see await_jobs), webhook? (see webhook_of), require_queue? (PQ011 where nobody has declared it), wait_ms?}. A
-- queue with a bound takes it or refuses it (PQ010, see enter_queue).
create or replace function postq.create_job(p_job jsonb) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := p_job ->> 'id';
    v_digest bytea := decode(p_job ->> 'digest', 'hex');
    v_start timestamptz := greatest(postq.start_of(p_job), postq.now());
    v_expires_ms bigint := (p_job ->> 'expires_after_ms')::bigint;
    v_queue postq.queue;
begin
    -- Before the queue is read: a bound that is not seen here is counted after this transaction (sweep_limits).
    perform pg_current_xact_id();
    select * into v_queue from postq.queue q where q.name = p_job ->> 'queue';
    if v_queue.name is null and (p_job ->> 'require_queue')::boolean then
        perform postq.need_queue(p_job ->> 'queue');
    end if;
    v_expires_ms := coalesce(v_expires_ms, v_queue.expires_after_ms);
    -- A copy tells whom the job it repeats would have told.
    if p_job ->> 'webhook' is not null and p_job ->> 'retry_of' is null then
        perform postq.check_webhook(p_job -> 'webhook');
    end if;
    if p_job #>> '{unique,key}' is not null
       and not exists (select from postq.job j where j.id = v_id)
       and not postq.take_key(v_id, p_job ->> 'queue', p_job -> 'unique') then
        return false;
    end if;
    insert into postq.job (id, queue, priority, state, created_at)
    values (v_id, p_job ->> 'queue', (p_job ->> 'priority')::int,
            case when v_start > postq.now() then 'scheduled' else 'queued' end::postq.state_of_job, postq.now())
    on conflict (id) do nothing;
    if not found then
        if exists (select from postq.job_spec s where s.job = v_id and s.digest = v_digest) then
            return false;
        end if;
        raise exception using errcode = 'PQ001',
            message = format('job %s exists with another document', v_id),
            hint = 'Submit under a new id, or leave the id out.';
    end if;
    if v_queue.max_jobs is not null then
        perform postq.enter_queue(v_queue.name, v_queue.max_jobs, (p_job ->> 'wait_ms')::bigint);
    end if;
    insert into postq.job_spec (job, name, task_count, spec, attributes, digest, traceparent, retry_of,
        timeout_ms, notify, webhook)
    values (v_id, p_job ->> 'name', (p_job ->> 'task_count')::int, p_job -> 'spec',
            coalesce(p_job -> 'attributes', '{}'), v_digest, p_job ->> 'traceparent',
            (p_job ->> 'retry_of')::uuid, (p_job ->> 'timeout_ms')::bigint,
            coalesce((p_job ->> 'notify')::boolean, false) or coalesce(v_queue.has_notify, false),
            coalesce(nullif(p_job -> 'webhook', 'null'), v_queue.webhook));
    insert into postq.deadline (at, job, kind)
    select v_start + make_interval(secs => v_expires_ms / 1000.0), v_id, 'expire'
    where v_expires_ms is not null;
    -- Later ones are found by the beat.
    if found and v_expires_ms < 3000 then
        perform postq.hint('deadline');
    end if;
    insert into postq.job_progress (job, revision, open, failed, cancelled)
    values (v_id, 1, (p_job ->> 'task_count')::int, 0, 0);
    if p_job #>> '{after,jobs}' is not null then
        perform postq.await_jobs(v_id, p_job -> 'after', postq.start_of(p_job));
    end if;
    return true;
end;
$$;
revoke all on function postq.create_job(jsonb) from public;
