-- A duration of proto3-JSON ("1.5s") in whole milliseconds.
create or replace function postq.duration_ms(p_duration text) returns bigint
language sql immutable strict
return trunc(rtrim(p_duration, 's')::numeric * 1000)::bigint;
revoke all on function postq.duration_ms(text) from public;
