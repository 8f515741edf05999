-- The channel on which a connection is woken.
create or replace function postq.channel_of(p_backend int) returns text
language sql immutable
return 'postq_wake_' || p_backend;
revoke all on function postq.channel_of(int) from public;
