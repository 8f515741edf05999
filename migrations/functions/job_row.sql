-- A document, which was checked, as create_job takes it.
create or replace function postq.job_row(p_job jsonb, p_id uuid, p_traceparent text default null) returns jsonb
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- Most documents have none of these.
    c_rare constant text[] := '{run_at,runAt,delay,expires_after,expiresAfter,timeout,unique,after,webhook}';
    v_row jsonb := jsonb_build_object(
        'id', p_id, 'queue', coalesce(nullif(p_job ->> 'queue', ''), 'default'),
        'priority', coalesce((p_job ->> 'priority')::int, 0), 'name', coalesce(p_job ->> 'name', ''),
        'task_count', (select count(*) from jsonb_object_keys(p_job -> 'tasks')), 'spec', p_job - 'tasks',
        'attributes', coalesce(nullif(p_job -> 'attributes', 'null'), '{}'), 'notify', p_job -> 'notify',
        'traceparent', p_traceparent, 'digest', encode(sha256(convert_to(p_job::text, 'UTF8')), 'hex'));
begin
    if not p_job ?| c_rare then
        return v_row;
    end if;
    return v_row || jsonb_strip_nulls(jsonb_build_object(
        'run_at', coalesce(p_job ->> 'run_at', p_job ->> 'runAt'),
        'delay_ms', postq.duration_ms(p_job ->> 'delay'),
        'expires_after_ms', postq.duration_ms(coalesce(p_job ->> 'expires_after', p_job ->> 'expiresAfter')),
        'timeout_ms', postq.some_ms(p_job ->> 'timeout'),
        'unique', postq.unique_of(p_job), 'after', postq.after_of(p_job), 'webhook', postq.webhook_of(p_job -> 'webhook')));
end;
$$;
revoke all on function postq.job_row(jsonb, uuid, text) from public;
