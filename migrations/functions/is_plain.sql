-- Whether a document is so plain that it needs no further check: one task with a handler or a command,
-- and no rare field. What is plain is valid; what is not has to be looked at.
create or replace function postq.is_plain(p_job jsonb) returns boolean
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    -- Half of what the limits are, because they count bytes written otherwise. 16 digits may be
    -- more than JSON carries.
    select coalesce((select
        -- Postgres 18 evaluates the parts of a conjunction in an order of its own.
        case when jsonb_typeof(p_job) = 'object' then p_job - '{name,queue,priority,attributes,tasks,notify}'::text[] = '{}' else false end
        and octet_length(p_job::text) < 65536 and p_job::text !~ '[0-9]{16}|\\u00[0-9a-f]{2}|[\u007F-\u009F]'
        and not (p_job ? 'name' and (jsonb_typeof(p_job -> 'name') <> 'string' or octet_length(p_job ->> 'name') > 255
                 or p_job ->> 'name' ~ '[\u0001-\u001F]'))
        and not (p_job ? 'queue' and (jsonb_typeof(p_job -> 'queue') <> 'string' or octet_length(p_job ->> 'queue') > 255
                 or p_job ->> 'queue' ~ '^dlq@|[\u0001-\u001F]'))
        and not (p_job ? 'priority' and (jsonb_typeof(p_job -> 'priority') <> 'number'
                 or p_job ->> 'priority' !~ '^-?([0-9]{1,3}|1000)$'))
        and not (p_job ? 'attributes' and jsonb_typeof(p_job -> 'attributes') <> 'object')
        and not (p_job ? 'notify' and jsonb_typeof(p_job -> 'notify') <> 'boolean')
        and t.key <> '' and octet_length(t.key) <= 255 and t.key !~ '^\.\.?$|/|[\u0001-\u001F]'
        and case when jsonb_typeof(t.value) = 'object'
            then t.value - '{handler,command,arguments,timeout}'::text[] = '{}' else false end
        and ((t.value ? 'handler') <> (t.value ? 'command'))
        and not (t.value ? 'command' and (jsonb_typeof(t.value -> 'command') <> 'string' or t.value ->> 'command' = ''
                 or t.value ? 'arguments'))
        and not (t.value ? 'handler' and (jsonb_typeof(t.value -> 'handler') <> 'string' or t.value ->> 'handler' = ''
                 or octet_length(t.value ->> 'handler') > 255 or t.value ->> 'handler' ~ '[\u0001-\u001F]'))
        and not (t.value ? 'timeout' and (jsonb_typeof(t.value -> 'timeout') <> 'string'
                 or t.value ->> 'timeout' !~ '^[1-9][0-9]{0,7}s$'))
        from jsonb_each(case when jsonb_typeof(p_job -> 'tasks') = 'object' then p_job -> 'tasks' end) t), false)
    where jsonb_typeof(p_job) = 'object' and 1 = (
        select count(*)
        from jsonb_object_keys(case when jsonb_typeof(p_job -> 'tasks') = 'object' then p_job -> 'tasks' end));
$$;
revoke all on function postq.is_plain(jsonb) from public;
