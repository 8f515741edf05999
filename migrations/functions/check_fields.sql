-- The rules for fields that can be judged one by one, on a document that passed check_shape: the
-- rules, the messages and their order are those of postq_proto::convert and postq_common::spec.
-- (Text in jsonb holds no NUL, so nothing looks for one here.) Returns one line per problem.
create or replace function postq.check_fields(p_job jsonb) returns text[]
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    c_name constant int := 255;
    c_image constant int := 4096;
    c_command constant int := 131071;
    c_variable constant int := 131071;
    c_env constant int := 1048576;
    c_attributes constant int := 1048576;
    c_arguments constant int := 2097152;
    c_duration constant int := 316224000;
    c_control constant text := '[\u0001-\u001F\u007F-\u009F]';
    c_space constant text := '[\u0001-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]';
    -- The fields that the faults of a task are of, in the order of the messages. Those up to c_wire
    -- are found on the way from the wire, before all others. Those of rarer fields (pace_faults)
    -- have ranks between these.
    c_fields constant text[] := array['timeout', 'grace', 'retry.max_attempts', 'retry.backoff',
        'retry.max_backoff', null, 'handler', 'command', 'arguments', 'image', 'handler', 'arguments',
        'command', 'env', 'timeout', 'timeout', 'grace', 'retry.backoff', 'retry.max_backoff'];
    c_wire constant numeric := 5.9;
    c_env_rank constant int := 14;
    c_paced constant text[] := array['retry', 'priority', 'crash_limit', 'crashLimit', 'concurrency', 'rate'];
    c_extra constant text[] := array['container', 'secrets'];
    c_needs constant text[] := array['resources', 'requires'];
    c_files constant text[] := array['outputs', 'ignore'];
    v_lines text[];
begin
    with owner as materialized (
        select null::text as task, p_job -> 'env' as env
        union all
        select e.key, e.value -> 'env' from jsonb_each(p_job -> 'tasks') e where e.value ? 'env'
    ), variable as materialized (
        select o.task, v.key, v.value
        from owner o cross join lateral jsonb_each_text(o.env) v
    ), task as (
        select t.key as name, coalesce(t.value ->> 'command', '') as command, t.value ->> 'image' as image,
               t.value ->> 'handler' as handler, nullif(t.value -> 'arguments', 'null') as arguments,
               t.value ->> 'timeout' as timeout, t.value ->> 'grace' as grace,
               t.value -> 'retry' ->> 'backoff' as backoff,
               coalesce(t.value -> 'retry' ->> 'max_backoff', t.value -> 'retry' ->> 'maxBackoff') as max_backoff,
               coalesce(t.value -> 'retry' ->> 'max_attempts', t.value -> 'retry' ->> 'maxAttempts')::int as max_attempts
        from jsonb_each(p_job -> 'tasks') t
    ), judged as (
        -- As an array: a lateral list of rows would be set up anew for every task.
        select t.name, array[
            case when t.timeout like '-%' then postq.negative_fault(t.timeout) end,
            case when t.grace like '-%' then postq.negative_fault(t.grace) end,
            case when t.max_attempts < -1 then
                format('%s is not a number of attempts; write 1 or more, or -1 for no limit', t.max_attempts) end,
            case when t.backoff like '-%' then postq.negative_fault(t.backoff) end,
            case when t.max_backoff like '-%' then postq.negative_fault(t.max_backoff) end,
            case
                when t.name = '' then 'is empty; give the task a name'
                when t.name like '%/%' then 'has a "/", which separates job and task in paths; use another character'
                when t.name in ('.', '..') then 'means a directory; use another name'
                when octet_length(t.name) > c_name or t.name ~ c_control then
                    postq.name_fault('task name', t.name, c_name) end,
            case when t.image is not null and t.handler is not null then
                'is set beside image; a task has one of them' end,
            case
                when t.command = '' and t.image is null and t.handler is null then
                    'is empty; write a command, or set image or handler'
                when t.command <> '' and t.handler is not null and t.image is null then
                    'is set beside handler, which runs no command; remove one' end,
            case when t.arguments is not null and t.handler is null then
                'are for a handler, and the task has none; remove them' end,
            case
                when t.image = '' then 'is empty; name an image, or leave it out for a shell'
                when t.image ~ c_space then 'has a space or control character; name an image'
                when octet_length(t.image) > c_image then
                    postq.size_fault(octet_length(t.image), c_image) end,
            case
                when t.handler = '' then 'is empty; name a handler, or leave it out'
                when t.handler is not null then postq.name_fault('handler name', t.handler, c_name) end,
            case when t.arguments is not null then
                postq.size_fault(postq.json_bytes(t.arguments), c_arguments) end,
            case when octet_length(t.command) > c_command then
                postq.size_fault(octet_length(t.command), c_command) end,
            null,
            case when t.timeout ~ '^0+(\.0+)?s$' then
                'is zero; give the task some time, or leave it out for no limit' end,
            case when length(t.timeout) > 9 then postq.duration_fault(t.timeout, c_duration) end,
            case when length(t.grace) > 9 then postq.duration_fault(t.grace, c_duration) end,
            case when length(t.backoff) > 9 then postq.duration_fault(t.backoff, c_duration) end,
            case when length(t.max_backoff) > 9 then postq.duration_fault(t.max_backoff, c_duration) end
        ] as faults
        from task t
    ), problem as (
        select null::text as task, r.rank::numeric, null::text as key, r.field, '' as place, r.message
        from (values
            (6, 'name', postq.name_fault('job name', p_job ->> 'name', c_name)),
            (7, 'queue', case when p_job ->> 'queue' like 'dlq@%' then
                'is where dead letters are consumed; name another queue'
                else postq.name_fault('queue name', p_job ->> 'queue', c_name) end),
            (8, 'priority', case when not (p_job ->> 'priority')::int between -1000 and 1000 then
                format('is %s; it may be -1000 to 1000', (p_job ->> 'priority')::int) end),
            (9, 'attributes', postq.size_fault(postq.json_bytes(nullif(p_job -> 'attributes', 'null')) - 2, c_attributes)),
            (100, 'tasks', case when coalesce(p_job -> 'tasks', '{}') = '{}' then
                'the job has no task; add at least one' end)
        ) as r (rank, field, message)
        where r.message is not null
        union all
        select null, f.rank, null, f.field, f.place, f.message from postq.job_faults(p_job) f
        union all
        select t.key, f.rank, null, f.field, f.place, f.message
        from jsonb_each(p_job -> 'tasks') t cross join lateral postq.pace_faults(t.value) f
        where t.value ?| c_paced
        union all
        select t.key, f.rank, f.key, f.field, f.place, f.message
        from jsonb_each(p_job -> 'tasks') t cross join lateral postq.extra_faults(t.value) f
        where t.value ?| c_extra
        union all
        select t.key, f.rank, null, f.field, f.place, f.message
        from jsonb_each(p_job -> 'tasks') t cross join lateral postq.needs_faults(t.value) f
        where t.value ?| c_needs
        union all
        select t.key, f.rank, null, f.field, f.place, f.message
        from jsonb_each(p_job -> 'tasks') t cross join lateral postq.file_faults(t.value) f
        where t.value ?| c_files
        union all
        select x.task, x.rank, null, x.field, l.place,
               'is an integer that JSON cannot carry (beyond 2^53); write it as a string'
        from (select null::text as task, 0 as rank, 'attributes' as field, p_job -> 'attributes' as value
              union all
              select null, 0.1, 'data', p_job -> 'data'
              union all
              select t.name, 0, 'arguments', t.arguments from task t where t.arguments is not null
              union all
              select e.key, 0.2, 'resources', e.value -> 'resources'
              from jsonb_each(p_job -> 'tasks') e where e.value ? 'resources') x
        cross join lateral postq.large_integers(x.value) l (place)
        union all
        select j.name, r.rank, null, r.field, '', r.message
        from (select * from judged j where array_remove(j.faults, null) <> '{}') j
        cross join lateral unnest(j.faults, c_fields) with ordinality as r (message, field, rank)
        where r.message is not null
        union all
        select v.task, c_env_rank, v.key, null, '', r.message
        from (select v.task, v.key, case
                  when v.key = '' then 'is empty; give the variable a name'
                  when v.key like '%=%' then 'has a "=", which ends a variable''s name; use another character'
                  when octet_length(v.key) > c_name or v.key ~ c_control then
                      postq.name_fault('variable name', v.key, c_name) end as name_fault,
                  case when octet_length(v.key) + 1 + octet_length(v.value) > c_variable then
                      postq.size_fault(octet_length(v.key) + 1 + octet_length(v.value), c_variable) end as size_fault
              from variable v) v
        cross join lateral unnest(array[v.name_fault, v.size_fault]) as r (message)
        where r.message is not null
        union all
        select e.task, c_env_rank, null, 'env', '', postq.size_fault(e.bytes, c_env)
        from (select v.task, sum(octet_length(v.key) + octet_length(v.value) + 2)
                  + case when v.task is null then 0 else (
                        select coalesce(sum(octet_length(s.key) + octet_length(s.value) + 2), 0)
                        from variable s where s.task is null) end as bytes
              from variable v group by v.task) e
        where e.bytes > c_env
    )
    select array_agg(postq.problem_line(
               array_remove(array[case when p.task is not null then 'tasks' end, p.task,
                                  case when p.key is null then null when p.rank > c_env_rank then 'secrets' else 'env' end,
                                  p.key, p.field], null),
               p.place, p.message)
               order by p.rank > c_wire, p.task collate "C" nulls first, p.rank,
                        p.key collate "C" nulls last, p.place)
    into v_lines from problem p;
    return coalesce(v_lines, '{}');
end;
$$;
revoke all on function postq.check_fields(jsonb) from public;
