-- Whether the index over attributes finds what a filter holds for: it wants an equality that must hold, so
-- one that no `||` and no `!( )` is around. What stands in texts does not count.
create or replace function postq.is_indexed(p_filter jsonpath) returns boolean
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select f.bare like '%==%' and f.bare not like '%||%' and f.bare not like '%!(%'
    from (select regexp_replace(p_filter::text, '"(\\.|[^"\\])*"', '""', 'g') as bare) f;
$$;
revoke all on function postq.is_indexed(jsonpath) from public;
