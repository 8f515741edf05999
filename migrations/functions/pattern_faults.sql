-- What is wrong with a list of patterns; a part of check_fields, which says what the ranks are.
create or replace function postq.pattern_faults(p_rank numeric, p_field text, p_patterns jsonb)
returns table (rank numeric, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_most constant int := 100;
begin
    if jsonb_array_length(p_patterns) > c_most then
        return query
        select p_rank, p_field, '', format('has %s patterns; it may have %s', jsonb_array_length(p_patterns), c_most);
    end if;
    return query
    select p_rank + f.nth / 1000000.0, p_field, format('[%s]', f.nth - 1), f.fault
    from (select p.nth, postq.pattern_fault(p.pattern) as fault
          from jsonb_array_elements_text(p_patterns) with ordinality as p (pattern, nth)) f
    where f.fault is not null;
end;
$$;
revoke all on function postq.pattern_faults(numeric, text, jsonb) from public;
