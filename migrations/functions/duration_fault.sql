-- What is wrong with a duration of proto3-JSON ("1.5s"); null where nothing is.
create or replace function postq.duration_fault(p_duration text, p_max_seconds int) returns text
language plpgsql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_seconds numeric := rtrim(p_duration, 's');
begin
    return case
        when v_seconds < 0 then format('is negative')
        when v_seconds > p_max_seconds then
            format('is %ss; it may be %ss', trunc(v_seconds), p_max_seconds) end;
end;
$$;
revoke all on function postq.duration_fault(text, int) from public;
