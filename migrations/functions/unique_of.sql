-- What a document says of its key, as create_job takes it; null where it has none. The document was
-- checked.
create or replace function postq.unique_of(p_document jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'key', u.said ->> 'key', 'is_global', u.said ->> 'scope' in ('ALL', '1'),
        'period_ms', postq.some_ms(u.said ->> 'period'), 'replaces', u.said ->> 'existing' in ('REPLACE', '1')))
    from (select p_document -> 'unique' as said) u
    where jsonb_typeof(u.said) = 'object';
$$;
revoke all on function postq.unique_of(jsonb) from public;
