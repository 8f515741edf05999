-- What is wrong with a value that is not of the given kind (or shape) of spec_field.
create or replace function postq.shape_fault(p_kind text, p_words text[], p_value jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_type text := coalesce(jsonb_typeof(p_value), 'null');
    v_given text := case v_type
        when 'null' then 'null'
        when 'string' then format('"%s"', postq.shown(p_value #>> '{}'))
        when 'number' then p_value::text
        when 'boolean' then p_value::text
        when 'array' then 'a list'
        else 'an object' end;
begin
    if p_kind in ('struct', 'value') and (v_type = 'object' or p_kind = 'value') then
        return 'has an integer beyond 2^53, which not every reader keeps; write it as a string';
    end if;
    return format('is %s; write %s', v_given, case p_kind
        when 'string' then 'a string'
        when 'int32' then 'a whole number'
        when 'bool' then 'true or false'
        when 'enum' then 'one of ' || array_to_string(p_words, ', ')
        when 'duration' then 'a duration in seconds, such as "60s"'
        when 'list' then 'a list'
        else 'an object' end);
end;
$$;
revoke all on function postq.shape_fault(text, text[], jsonb) from public;
