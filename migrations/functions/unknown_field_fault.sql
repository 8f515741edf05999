-- What is wrong with a field that a message does not have.
create or replace function postq.unknown_field_fault(p_message text, p_key text) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select format('unknown field `%s`, expected %s', postq.shown(p_key), case count(*)
        when 1 then format('`%s`', min(f.spelling))
        when 2 then format('`%s`', string_agg(f.spelling, '` or `' order by f.position))
        else format('one of `%s`', string_agg(f.spelling, '`, `' order by f.position)) end)
    from postq.spec_field f where f.message = p_message;
$$;
revoke all on function postq.unknown_field_fault(text, text) from public;
