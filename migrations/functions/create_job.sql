-- Stores a job without its tasks. Returns false where the job was there already with the same
-- document; another document under the same id is refused (SQLSTATE PQ001). Called by admit and
-- submit. p_job: {id, queue, priority, name, task_count, spec, attributes, digest (hex),
-- traceparent, run_at?, delay_ms?, expires_after_ms?, timeout_ms?, notify?, retry_of?}.
create or replace function postq.create_job(p_job jsonb) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := p_job ->> 'id';
    v_digest bytea := decode(p_job ->> 'digest', 'hex');
    v_start timestamptz := greatest(postq.start_of(p_job), postq.now());
begin
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
    insert into postq.job_spec (job, name, task_count, spec, attributes, digest, traceparent, retry_of,
        timeout_ms, notify)
    values (v_id, p_job ->> 'name', (p_job ->> 'task_count')::int, p_job -> 'spec',
            coalesce(p_job -> 'attributes', '{}'), v_digest, p_job ->> 'traceparent',
            (p_job ->> 'retry_of')::uuid, (p_job ->> 'timeout_ms')::bigint,
            coalesce((p_job ->> 'notify')::boolean, false));
    insert into postq.deadline (at, job, kind)
    select v_start + make_interval(secs => (p_job ->> 'expires_after_ms')::double precision / 1000), v_id, 'expire'
    where p_job ->> 'expires_after_ms' is not null;
    insert into postq.job_progress (job, revision, open, failed, cancelled)
    values (v_id, 1, (p_job ->> 'task_count')::int, 0, 0);
    return true;
end;
$$;
revoke all on function postq.create_job(jsonb) from public;
