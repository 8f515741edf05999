-- About the size of free JSON as text, by the same count as postq_common::spec. Values that are
-- small beyond doubt are not counted: the answer is 0.
create or replace function postq.json_bytes(p_value jsonb) returns bigint
language plpgsql immutable strict
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
declare
    -- The stored form takes at least a quarter of what is counted.
    c_small constant int := 262144;
begin
    if pg_column_size(p_value) < c_small then
        return 0;
    end if;
    return (
        with recursive part as (
            select 0::bigint as around, p_value as value
            union all
            select x.around, x.value
            from part p
            cross join lateral (
                select octet_length(f.key) + 4 as around, f.value
                from jsonb_each(case when jsonb_typeof(p.value) = 'object' then p.value end) f
                union all
                select 1, l.value
                from jsonb_array_elements(case when jsonb_typeof(p.value) = 'array' then p.value end) l
            ) x
        )
        select sum(p.around + case jsonb_typeof(p.value)
            when 'string' then octet_length(p.value #>> '{}') + 2
            when 'number' then 8
            when 'object' then 2
            when 'array' then 2
            else 4 end)
        from part p);
end;
$$;
revoke all on function postq.json_bytes(jsonb) from public;
