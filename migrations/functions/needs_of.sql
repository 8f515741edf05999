-- What a task asks of its agent, in the one form that lanes are found by and postq_common::spec::Needs
-- reads: {"resources": {name: amount}, "labels": [{"label", "in" | "not_in" | "exists"}]}, without
-- what is empty. Called by add_tasks on checked documents; the arguments are the fields of that name.
create or replace function postq.needs_of(p_resources jsonb, p_requires jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    with test as (
        select distinct jsonb_build_object('label', coalesce(r.rule ->> 'label', '')) || case
            when coalesce(r.rule -> 'in', '[]') <> '[]' then jsonb_build_object('in', (
                select jsonb_agg(distinct v.value order by v.value)
                from jsonb_array_elements(r.rule -> 'in') v))
            when coalesce(r.rule -> 'not_in', r.rule -> 'notIn', '[]') <> '[]' then jsonb_build_object('not_in', (
                select jsonb_agg(distinct v.value order by v.value)
                from jsonb_array_elements(coalesce(r.rule -> 'not_in', r.rule -> 'notIn')) v))
            else jsonb_build_object('exists', r.rule -> 'exists') end as rule
        from jsonb_array_elements(coalesce(p_requires, '[]')) r (rule)
    )
    select jsonb_strip_nulls(jsonb_build_object(
        'resources', (select jsonb_object_agg(e.key, postq.amount_of(e.key, e.value))
                      from jsonb_each(coalesce(p_resources, '{}')) e),
        'labels', (select jsonb_agg(t.rule order by t.rule) from test t)));
$$;
revoke all on function postq.needs_of(jsonb, jsonb) from public;
