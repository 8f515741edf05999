-- Hints for new rows in ready, given as [[lane, lowest seq], ...].
create or replace function postq.hint_ready(p_ready jsonb) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    select postq.hint('ready:' || (r ->> 0), ':' || (r ->> 1)) from jsonb_array_elements(p_ready) r;
$$;
revoke all on function postq.hint_ready(jsonb) from public;
