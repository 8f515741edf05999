-- Holds a job document against the fields that it may have (spec_field), at every level: unknown
-- fields, fields given in both spellings, values of another type. Returns one line per problem, "path: message".
-- Called by submit; the other checks rely on what passes here.
create or replace function postq.check_shape(p_job jsonb) returns text[]
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_lines text[];
begin
    if p_job is null or jsonb_typeof(p_job) <> 'object' then
        return array[postq.shape_fault('message', '{}', p_job)];
    end if;
    with recursive object as (
        select '{}'::text[] as path, 'JobSpec'::text as message, p_job as value
        union all
        select o.path || v.path, s.target, v.value
        from object o
        cross join lateral jsonb_each(o.value) f
        join postq.spec_field s on s.message = o.message and s.spelling = f.key and s.kind = 'message'
        cross join lateral (
            select array[f.key] as path, f.value where s.shape = 'one'
            union all
            select array[f.key, m.key], m.value
            from jsonb_each(case when s.shape = 'map' and jsonb_typeof(f.value) = 'object' then f.value end) m
            union all
            select array[format('%s[%s]', f.key, i.nth - 1)], i.value
            from jsonb_array_elements(case when s.shape = 'list' and jsonb_typeof(f.value) = 'array' then f.value end)
                with ordinality i (value, nth)
        ) v
        where jsonb_typeof(v.value) = 'object'
    ), field as (
        select o.path, o.message, f.key, f.value, jsonb_typeof(f.value) as type, s.field, s.kind, s.shape,
               s.is_nullable, s.words, f.key <> s.field and o.value ? s.field as is_double
        from object o
        cross join lateral jsonb_each(o.value) f
        left join postq.spec_field s on s.message = o.message and s.spelling = f.key
    ), element as (
        select f.path || f.key as path, '' as place, f.kind, f.words, f.value, f.type
        from field f where f.shape = 'one' and not (f.is_nullable and f.type = 'null')
        union all
        select f.path || f.key || m.key, '', f.kind, f.words, m.value, jsonb_typeof(m.value)
        from field f
        cross join lateral jsonb_each(case when f.type = 'object' then f.value end) m
        where f.shape = 'map'
        union all
        select f.path || f.key, format('[%s]', l.nth - 1), f.kind, f.words, l.value, jsonb_typeof(l.value)
        from field f
        cross join lateral jsonb_array_elements(case when f.type = 'array' then f.value end)
            with ordinality l (value, nth)
        where f.shape = 'list'
    ), problem as (
        select case when f.is_double then f.path else f.path || f.key end as path, '' as place, case
            when f.field is null then postq.unknown_field_fault(f.message, f.key)
            when f.is_double then format('duplicate field `%s`', f.key)
            else postq.shape_fault(f.shape, '{}', f.value) end as message
        from field f
        where f.field is null or f.is_double
           or f.shape = 'map' and f.type <> 'object' or f.shape = 'list' and f.type <> 'array'
        union all
        select e.path, e.place, postq.shape_fault(e.kind, e.words, e.value)
        from element e
        where not case e.kind
            when 'string' then e.type = 'string'
            when 'bool' then e.type = 'boolean'
            when 'int32' then e.type in ('number', 'string') and e.value #>> '{}' ~ '^[+-]?[0-9]{1,18}$'
                and case when e.value #>> '{}' ~ '^[+-]?[0-9]{1,18}$'
                    then (e.value #>> '{}')::bigint between -2147483648 and 2147483647 else false end
            when 'enum' then case e.type
                when 'string' then e.value #>> '{}' = any (e.words)
                when 'number' then case when e.value #>> '{}' ~ '^[0-9]{1,9}$'
                    then (e.value #>> '{}')::int < cardinality(e.words) else false end
                else false end
            when 'duration' then e.type = 'string' and e.value #>> '{}' ~ '^-?[0-9]{1,18}(\.[0-9]{1,9})?s$'
            when 'double' then e.type = 'number'
                or e.type = 'string' and e.value #>> '{}' ~ '^-?[0-9]+(\.[0-9]+)?$'
            when 'timestamp' then e.type = 'string' and postq.is_time(e.value #>> '{}')
            when 'message' then e.type = 'object'
            when 'struct' then e.type = 'object'
            when 'value' then true
            else false end
    )
    select array_agg(postq.problem_line(p.path, p.place, p.message) order by p.path collate "C", p.place)
    into v_lines from problem p;
    return coalesce(v_lines, '{}');
end;
$$;
revoke all on function postq.check_shape(jsonb) from public;
