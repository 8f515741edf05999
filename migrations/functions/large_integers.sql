-- The places in free JSON of integers that a double cannot carry exactly (2^53 and beyond), each as
-- the tail of a path: ".a[0].b", empty for the value itself.
create or replace function postq.large_integers(p_value jsonb) returns setof text
language plpgsql immutable strict
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
begin
    if p_value::text !~ '[0-9]{16}' then
        return;
    end if;
    return query
        with recursive part as (
            select '' as path, p_value as value
            union all
            select p.path || x.key, x.value
            from part p
            cross join lateral (
                select '.' || postq.shown(f.key) as key, f.value
                from jsonb_each(case when jsonb_typeof(p.value) = 'object' then p.value end) f
                union all
                select format('[%s]', l.nth - 1), l.value
                from jsonb_array_elements(case when jsonb_typeof(p.value) = 'array' then p.value end)
                    with ordinality as l (value, nth)
            ) x
        )
        select p.path from part p
        -- Rounded to a double, that is 2^53.
        where case when jsonb_typeof(p.value) = 'number' then abs(p.value::numeric) >= 9007199254740991.5 end;
end;
$$;
revoke all on function postq.large_integers(jsonb) from public;
