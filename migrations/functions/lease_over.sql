-- What is told of an attempt whose lease ended.
create or replace function postq.lease_over() returns text
language sql immutable
return 'its lease ended, and its consumer was not heard of';
revoke all on function postq.lease_over() from public;
