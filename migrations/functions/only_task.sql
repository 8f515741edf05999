-- The plan of a job's only task, as add_tasks takes it; the document was checked. Called by submit.
create or replace function postq.only_task(p_name text, p_spec jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_crash_limit constant int := 5;
    v_executor text := case
        when p_spec ->> 'handler' is not null then 'handler'
        when p_spec ->> 'image' is not null then 'docker'
        else 'shell' end;
    v_retry jsonb := p_spec -> 'retry';
begin
    return jsonb_build_object(
        'n', 0, 'name', p_name, 'gate', null, 'executor', v_executor, 'handler', p_spec ->> 'handler',
        'run_if', case coalesce(p_spec ->> 'run_if', p_spec ->> 'runIf', '0')
            when 'FAILED' then 'failed' when '1' then 'failed'
            when 'FINISHED' then 'finished' when '2' then 'finished'
            else 'succeeded' end,
        'max_attempts', coalesce(nullif(coalesce(v_retry ->> 'max_attempts', v_retry ->> 'maxAttempts')::int, 0), 1),
        'crash_limit', c_crash_limit,
        'backoff_ms', coalesce(postq.duration_ms(v_retry ->> 'backoff'), 1000),
        'max_backoff_ms', coalesce(postq.duration_ms(coalesce(v_retry ->> 'max_backoff', v_retry ->> 'maxBackoff')), 60000),
        'depends', '[]'::jsonb, 'parents', '[]'::jsonb,
        'has_workspace', case p_spec ->> 'workspace'
            when 'FILES' then true when '1' then true
            when 'NONE' then false when '2' then false
            else v_executor <> 'handler' end,
        'spec', p_spec);
end;
$$;
revoke all on function postq.only_task(text, jsonb) from public;
