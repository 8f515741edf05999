-- The plan of a job's only task, as add_tasks takes it; the document was checked. Called by submit.
create or replace function postq.only_task(p_name text, p_spec jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_executor text := case
        when p_spec ->> 'handler' is not null then 'handler'
        when p_spec ->> 'image' is not null then 'docker'
        else 'shell' end;
    v_rate jsonb := nullif(p_spec -> 'rate', 'null');
begin
    return postq.retry_plan(p_spec -> 'retry') || jsonb_strip_nulls(jsonb_build_object(
        'n', 0, 'name', p_name, 'executor', v_executor, 'handler', p_spec ->> 'handler',
        'priority', p_spec -> 'priority',
        'run_if', case coalesce(p_spec ->> 'run_if', p_spec ->> 'runIf')
            when 'FAILED' then 'failed' when '1' then 'failed'
            when 'FINISHED' then 'finished' when '2' then 'finished' end,
        'crash_limit', nullif(coalesce(p_spec ->> 'crash_limit', p_spec ->> 'crashLimit')::int, 0),
        'at_most_once', case when p_spec ->> 'delivery' in ('AT_MOST_ONCE', '1') then true end,
        'concurrency', nullif(p_spec -> 'concurrency', 'null'),
        'rate', v_rate || jsonb_build_object('period_ms', postq.some_ms(v_rate ->> 'period')),
        'has_workspace', case p_spec ->> 'workspace'
            when 'FILES' then true when '1' then true
            when 'NONE' then false when '2' then false
            else v_executor <> 'handler' end))
        || jsonb_build_object('spec', p_spec);
end;
$$;
revoke all on function postq.only_task(text, jsonb) from public;
