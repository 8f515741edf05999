-- Raises PQ005 where something is wrong with an argument of a function that users call.
create or replace function postq.check_argument(p_name text, p_fault text) returns void
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    if p_fault is not null then
        raise exception using errcode = 'PQ005', message = format('%s %s', p_name, p_fault);
    end if;
end;
$$;
revoke all on function postq.check_argument(text, text) from public;
