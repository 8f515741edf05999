-- What is wrong with a field of that many bytes; null where nothing is.
create or replace function postq.size_fault(p_bytes bigint, p_max int) returns text
language sql stable
return case when p_bytes > p_max then format('has %s bytes; it may have %s', p_bytes, p_max) end;
revoke all on function postq.size_fault(bigint, int) from public;
