-- Refuses (PQ005) a queue's name, or settings that it cannot have. p_settings is a QueueSettings in
-- proto3-JSON; returns it with the names as the proto spells them. What tasks and jobs may say too is
-- judged by their rules.
create or replace function postq.check_queue(p_queue text, p_settings jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_camel constant jsonb := '{"maxRunning": "max_running", "maxJobs": "max_jobs",
        "expiresAfter": "expires_after", "deadLetters": "dead_letters"}';
    c_kinds constant jsonb := '{"description": "string", "paused": "boolean", "max_running": "number",
        "max_jobs": "number", "retry": "object", "timeout": "string", "expires_after": "string",
        "dead_letters": "boolean", "aging": "number", "retention": "object", "notify": "boolean", "webhook": "object",
        "rate": "object"}';
    v_settings jsonb;
    v_fault record;
    v_document jsonb;
    v_lines text[];
begin
    perform postq.check_argument('queue', case
        when coalesce(p_queue, '') = '' then 'is empty; name a queue'
        when p_queue like 'dlq@%' then 'is where dead letters are consumed; name another queue'
        else postq.name_fault('queue name', p_queue, 255) end);
    perform postq.check_argument('settings', case when coalesce(jsonb_typeof(p_settings), '') <> 'object' then
        'is not a JSON object' end);
    select coalesce(jsonb_object_agg(coalesce(c_camel ->> s.key, s.key), s.value), '{}') into v_settings
    from jsonb_each(p_settings) s;
    select s.key, case when c_kinds -> s.key is null then 'is no setting of a queue'
                       else format('is a %s; write a %s', jsonb_typeof(s.value), c_kinds ->> s.key) end as message
    into v_fault
    from jsonb_each(v_settings) s
    where jsonb_typeof(s.value) <> 'null' and jsonb_typeof(s.value) is distinct from c_kinds ->> s.key
    order by s.key limit 1;
    perform postq.check_argument(v_fault.key, v_fault.message) where v_fault.key is not null;
    select s.key, case
        when s.key = 'aging' and not (s.value #>> '{}')::numeric between 0 and 1000000 then
            'is out of range; it may be 0 to 1000000 points per minute'
        when s.key in ('max_running', 'max_jobs') and ((s.value #>> '{}')::numeric % 1 <> 0
            or not (s.value #>> '{}')::numeric between 0 and 2147483647) then
            format('is %s; write 1 or more, or 0 for no limit', s.value #>> '{}')
        when s.key = 'rate' and s.value ? 'key' then 'has no field key; write limit and period'
        when s.key = 'retention' then postq.retention_fault(nullif(s.value, 'null'))
        when s.key = 'description' then postq.size_fault(octet_length(s.value #>> '{}'), 1000) end as message
    into v_fault
    from jsonb_each(v_settings) s
    order by 2 nulls last limit 1;
    perform postq.check_argument(v_fault.key, v_fault.message) where v_fault.message is not null;
    v_document := jsonb_strip_nulls(jsonb_build_object(
        'expires_after', v_settings -> 'expires_after', 'webhook', v_settings -> 'webhook', 'tasks', jsonb_build_object('t', jsonb_build_object(
            'command', 'true', 'retry', v_settings -> 'retry', 'timeout', v_settings -> 'timeout',
            'rate', case when jsonb_typeof(v_settings -> 'rate') = 'object' then v_settings -> 'rate' || '{"key": "starts"}' end))));
    v_lines := postq.check_shape(v_document);
    if v_lines = '{}' then
        v_lines := postq.check_fields(v_document);
    end if;
    if v_lines <> '{}' then
        raise exception using errcode = 'PQ005', message = regexp_replace(v_lines[1], '^tasks\.t\.', '');
    end if;
    perform postq.check_webhook(postq.webhook_of(v_settings -> 'webhook'));
    return v_settings;
end;
$$;
revoke all on function postq.check_queue(text, jsonb) from public;
