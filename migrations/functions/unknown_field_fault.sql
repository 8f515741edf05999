-- What is wrong with a field that a message does not have.
create or replace function postq.unknown_field_fault(p_message text) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select format('is not a field of %s, which has %s', p_message, string_agg(distinct f.field, ', '))
    from postq.spec_field f where f.message = p_message;
$$;
revoke all on function postq.unknown_field_fault(text) from public;
