-- The amount of a resource as a task writes it, counted: cpus in thousandths, memory in bytes, anything
-- else in whole numbers; null where it is none. As postq_common::spec::amount.
create or replace function postq.amount_of(p_name text, p_written jsonb) returns bigint
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_bytes constant numeric := 9007199254740992;
    c_unit constant text := '^([0-9]{1,15}(\.[0-9]{1,3})?)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$';
    v_kind text := jsonb_typeof(p_written);
    v_text text := p_written #>> '{}';
    v_number numeric := case when v_kind = 'number' then v_text::numeric end;
    v_parts text[];
begin
    if p_name = 'cpus' then
        return case when v_number between 0.001 and 10000
            and abs(v_number * 1000 - round(v_number * 1000)) < 0.000001 then round(v_number * 1000) end;
    end if;
    if p_name = 'memory' and v_kind = 'string' then
        v_parts := regexp_match(v_text, c_unit);
        v_number := ceil(v_parts[1]::numeric * case v_parts[3]
            when 'kB' then 1e3 when 'MB' then 1e6 when 'GB' then 1e9 when 'TB' then 1e12
            when 'KiB' then 2 ^ 10::numeric when 'MiB' then 2 ^ 20::numeric
            when 'GiB' then 2 ^ 30::numeric when 'TiB' then 2 ^ 40::numeric else 1 end);
    end if;
    return case when v_number between 1 and case p_name when 'memory' then c_bytes else 1e9 end
        and v_number = trunc(v_number) then v_number end;
end;
$$;
revoke all on function postq.amount_of(text, jsonb) from public;
