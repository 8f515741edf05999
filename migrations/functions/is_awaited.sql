-- Whether a connection that registered to be woken still exists.
create or replace function postq.is_awaited(p_backend int, p_backend_start timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select exists (select from pg_stat_get_activity(p_backend) a
                   where coalesce(a.backend_start = p_backend_start, true));
$$;
revoke all on function postq.is_awaited(int, timestamptz) from public;
