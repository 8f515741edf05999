-- What is wrong with a value that is not of the given kind (or shape) of spec_field; p_words are
-- those of an enum. Worded as the readers of documents in postq-proto do.
create or replace function postq.shape_fault(p_kind text, p_words text[], p_value jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_type text := coalesce(jsonb_typeof(p_value), 'null');
    v_words text := '`' || array_to_string(p_words, '`, `') || '`';
begin
    if p_kind = 'duration' then
        return 'is not a duration; write seconds with an "s", as "90s" or "0.5s"';
    elsif p_kind = 'timestamp' then
        return 'is not a time; write it as "2030-01-31T12:00:00Z"';
    elsif p_kind = 'double' then
        return 'is not a number';
    elsif p_kind = 'int32' then
        return 'is not a whole number of 32 bits';
    elsif p_kind = 'enum' and v_type = 'string' then
        return format('unknown variant `%s`, expected %s', postq.shown(p_value #>> '{}'),
            case cardinality(p_words) when 2 then replace(v_words, ', ', ' or ') else 'one of ' || v_words end);
    elsif p_kind = 'enum' then
        return format('is not one of the words %s', v_words);
    end if;
    return format('invalid type: %s, expected %s%s',
        case v_type
            when 'string' then format('string "%s"', postq.shown(p_value #>> '{}'))
            when 'number' then case when p_value::text ~ '^-?[0-9]+$' then format('integer `%s`', p_value)
                                    else format('floating point `%s`', p_value) end
            when 'boolean' then format('boolean `%s`', p_value)
            when 'array' then 'sequence'
            when 'object' then 'map'
            else 'null' end,
        case p_kind when 'string' then 'a string' when 'bool' then 'a boolean' when 'list' then 'a sequence'
                    else 'a map' end,
        case when p_kind = 'string' and v_type not in ('array', 'object') then '; put it in quotes' else '' end);
end;
$$;
revoke all on function postq.shape_fault(text, text[], jsonb) from public;
