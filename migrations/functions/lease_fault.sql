-- What is wrong with the length of a lease or a timeout; null where nothing is.
create or replace function postq.lease_fault(p_lease interval) returns text
language sql stable
return case
    when p_lease < interval '1 ms' then format('is %s; give it some time', p_lease)
    when p_lease > interval '3660 days' then format('is %s; it may be 3660 days', p_lease) end;
revoke all on function postq.lease_fault(interval) from public;
