-- Whether free JSON holds an integer of 2^53 or more, which a double would change in silence.
create or replace function postq.has_large_integer(p_value jsonb) returns boolean
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select p_value::text ~ '[0-9]{16}' and jsonb_path_exists(p_value, 'strict $.** ? (@.type() == "number"
        && @.abs() >= 9007199254740992 && @.floor() == @)');
$$;
revoke all on function postq.has_large_integer(jsonb) from public;
