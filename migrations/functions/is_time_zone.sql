-- Whether Postgres knows a time zone of that name. (Names alone: it takes much else for a zone.)
create or replace function postq.is_time_zone(p_name text) returns boolean
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    if p_name is null or p_name !~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$' then
        return false;
    end if;
    perform postq.now() at time zone p_name;
    return true;
exception when invalid_parameter_value then
    return false;
end;
$$;
revoke all on function postq.is_time_zone(text) from public;
