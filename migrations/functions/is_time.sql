-- Whether a text is a time of proto3-JSON ("2030-01-31T12:00:00Z", or with an offset), on a day that
-- exists.
create or replace function postq.is_time(p_text text) returns boolean
language plpgsql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_part int[] := regexp_match(p_text,
        '^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$');
begin
    return v_part is not null and v_part[1] > 0 and v_part[2] between 1 and 12 and v_part[3] > 0
       and v_part[3] <= extract(day from make_date(v_part[1], v_part[2], 1) + interval '1 month' - interval '1 day')
       and v_part[4] < 24 and v_part[5] < 60 and v_part[6] < 61;
end;
$$;
revoke all on function postq.is_time(text) from public;
