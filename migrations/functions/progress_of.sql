-- How far a job has come: its newest row in the ledger. Written so that Postgres puts it into the statement
-- that asks, with the plan of that.
create or replace function postq.progress_of(p_job uuid) returns setof postq.job_progress
language sql stable
begin atomic
    select p.* from postq.job_progress p where p.job = p_job order by p.revision desc limit 1;
end;
revoke all on function postq.progress_of(uuid) from public;
