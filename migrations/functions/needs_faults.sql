-- What is wrong with the resources and the rules about labels of a task; a part of check_fields, which
-- says what the ranks are.
create or replace function postq.needs_faults(p_task jsonb)
returns table (rank numeric, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_name constant int := 255;
    c_resources constant int := 32;
    c_rules constant int := 32;
    c_values constant int := 100;
    v_resources jsonb := coalesce(p_task -> 'resources', '{}');
    v_requires jsonb := coalesce(p_task -> 'requires', '[]');
begin
    return query
    select r.rank::numeric, r.field, '', format('has %s %s; it may have %s', r.number, r.field_of, r.most)
    from (values
        (60, 'resources', 'resources', (select count(*) from jsonb_object_keys(v_resources)), c_resources),
        (62, 'requires', 'rules', jsonb_array_length(v_requires)::bigint, c_rules)
    ) as r (rank, field, field_of, number, most)
    where r.number > r.most;
    return query
    select 61::numeric, 'resources', '.' || postq.shown(e.key), f.message
    from jsonb_each(v_resources) e
    cross join lateral (values
        (case when e.key = '' then 'is empty; give it a name'
            else postq.name_fault('resource name', e.key, c_name) end),
        (case when postq.amount_of(e.key, e.value) is not null then null
            when e.key = 'cpus' then
                'is not a number of CPUs; write 0.001 to 10000 with at most 3 decimals, as 1.5'
            when e.key = 'memory' then
                'is not an amount of memory; write 1 byte to 8192 TiB, in bytes or as 512MiB'
            else 'is not a number of it; write a whole number, 1 to 1000000000' end)
    ) as f (message)
    where f.message is not null;
    return query
    with rule as (
        select r.rule, format('[%s]', r.nth - 1) as place, 63 + r.nth / 100000.0 as rank,
               coalesce(r.rule ->> 'label', '') as label, coalesce(r.rule -> 'in', '[]') as within,
               coalesce(r.rule -> 'not_in', r.rule -> 'notIn', '[]') as without
        from jsonb_array_elements(v_requires) with ordinality r (rule, nth)
    ), list as (
        select r.rank, r.place || l.field as place, l.list
        from rule r cross join lateral (values ('.in', r.within), ('.not_in', r.without)) l (field, list)
    )
    select r.rank, 'requires', r.place || f.field, f.message
    from rule r
    cross join lateral (values
        ('.label', case when r.label = '' then 'is empty; give it a name'
            else postq.name_fault('label', r.label, c_name) end),
        ('', case (r.within <> '[]')::int + (r.without <> '[]')::int
                + (coalesce(r.rule -> 'exists', 'null') <> 'null')::int
            when 0 then 'tests nothing; give it in, not_in or exists'
            when 1 then null
            else 'has more than one test; write a rule for each' end)
    ) as f (field, message)
    where f.message is not null
    union all
    select l.rank, 'requires', l.place,
           format('has %s values; it may have %s', jsonb_array_length(l.list), c_values)
    from list l where jsonb_array_length(l.list) > c_values
    union all
    select l.rank, 'requires', l.place || format('[%s]', v.nth - 1), postq.name_fault('label''s value', v.value, c_name)
    from list l cross join lateral jsonb_array_elements_text(l.list) with ordinality v (value, nth)
    where postq.name_fault('label''s value', v.value, c_name) is not null;
end;
$$;
revoke all on function postq.needs_faults(jsonb) from public;
