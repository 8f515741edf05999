-- What is wrong with a time that something is to wait for; null where nothing is, also where it is long past. What
-- reads it knows no endless times, and the wire none beyond these years.
create or replace function postq.time_fault(p_time timestamptz) returns text
language sql stable
return case when p_time >= '9999-12-31 00:00:00+00' then format('is %s; it may be up to the year 9999', p_time) end;
revoke all on function postq.time_fault(timestamptz) from public;
