-- What is wrong with free JSON that holds integers beyond 2^53; null where nothing is.
create or replace function postq.large_fault(p_value jsonb) returns text
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select format('has an integer at "%s" that JSON cannot carry (beyond 2^53); write it as a string', l.place)
    from postq.large_integers(p_value) l (place) limit 1;
$$;
revoke all on function postq.large_fault(jsonb) from public;
