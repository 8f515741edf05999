-- The clock of every function here. Tests replace it in their own database.
create or replace function postq.now() returns timestamptz
language sql stable
return statement_timestamp();
revoke all on function postq.now() from public;
