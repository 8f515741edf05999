-- A duration of proto3-JSON in whole milliseconds, at least one: no time at all would be no limit.
create or replace function postq.some_ms(p_duration text) returns bigint
language sql immutable strict
return greatest(postq.duration_ms(p_duration), 1);
revoke all on function postq.some_ms(text) from public;
