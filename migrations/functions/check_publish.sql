-- Refuses (PQ005) a job that publish cannot make. The same rules as for a document's fields.
create or replace function postq.check_publish(
    p_task text, p_arguments jsonb, p_timeout interval, p_priority int, p_attempts int, p_queue text,
    p_attributes jsonb, p_backoff_ms bigint, p_factor double precision, p_max_backoff_ms bigint
) returns void
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_name constant int := 255;
    c_attributes constant int := 1048576;
    c_arguments constant int := 2097152;
    c_backoff_ms constant bigint := 316224000000;
    v_name text;
    v_fault text;
begin
    select f.name, f.fault into v_name, v_fault
    from (values
        (1, 'task', case
            when coalesce(p_task, '') = '' then 'is empty; name the handler'
            when p_task like '%/%' or p_task in ('.', '..') then 'is not a name; use another without a "/"'
            else postq.name_fault('task name', p_task, c_name) end),
        (2, 'queue', case
            when p_queue like 'dlq@%' then 'is where dead letters are consumed; name another queue'
            else postq.name_fault('queue name', p_queue, c_name) end),
        (3, 'priority', case when p_priority not between -1000 and 1000 then
            format('is %s; it may be -1000 to 1000', p_priority) end),
        (4, 'timeout', postq.lease_fault(p_timeout)),
        (5, 'max_retries', case when p_attempts < -1 or p_attempts = 0 then format(
            'is %s; write 1 or more executions in total, or -1 for no limit', p_attempts) end),
        (6, 'backoff', case when p_backoff_ms not between 0 and c_backoff_ms then 'may be 0 to 3660 days' end),
        (7, 'factor', case when not coalesce(p_factor between 1 and 100, true) then
            format('is %s; it may be 1 to 100', p_factor) end),
        (8, 'max_backoff', case when p_max_backoff_ms not between 0 and c_backoff_ms then 'may be 0 to 3660 days' end),
        (9, 'attributes', case
            when jsonb_typeof(p_attributes) not in ('object', 'null') then 'is not a JSON object'
            else coalesce(postq.large_fault(p_attributes),
                          postq.size_fault(postq.json_bytes(nullif(p_attributes, 'null')) - 2, c_attributes)) end),
        (10, 'arguments', coalesce(postq.large_fault(p_arguments),
                                   postq.size_fault(postq.json_bytes(p_arguments), c_arguments)))
    ) as f (rank, name, fault)
    where f.fault is not null
    order by f.rank limit 1;
    if v_name is not null then
        perform postq.check_argument(v_name, v_fault);
    end if;
end;
$$;
revoke all on function postq.check_publish(
    text, jsonb, interval, int, int, text, jsonb, bigint, double precision, bigint) from public;
